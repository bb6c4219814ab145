import { kubernetesObjects, renderKubernetes } from "../../../configs/plan/kubernetes/render";
import { all, clusterPlan, containersOf, find, podsOf } from "../../support/cluster";

const hub = { engine: "llamacpp", model: "hf://acme/tiny-GGUF/tiny.gguf", memoryMiB: 2048 };
const gpus = { gpus: [0, 1, 2].map((id) => ({ id, memoryGiB: 80 })) };
const vllm = (device: number, kubernetes = {}) => ({
  ...{ engine: "vllm", model: "hf://acme/big", gpu: { devices: [device], memoryGiB: 60 } },
  kubernetes,
});

const plan = clusterPlan({ models: { tiny: hub } });
const { objects, secrets } = renderKubernetes(plan);

test("a gateway takes nothing from the one before until it is ready and lists every model", () => {
  const { spec } = find(objects, "Deployment", "gateway");
  expect(spec.strategy).toEqual({ type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } });
  expect(spec.replicas).toBe(2);
  const [main] = spec.template.spec.containers;
  expect(main!.startupProbe).toEqual({
    exec: {
      command: ["sh", "-c", "exec python3 /etc/gpubox/prove.py --deadline 20 < /etc/gpubox/generation.json"],
    },
    ...{ periodSeconds: 5, timeoutSeconds: 25, failureThreshold: 60 },
  });
  expect(main!.readinessProbe!.exec.command).toEqual(["sh", "/etc/gpubox/health.sh"]);
  expect(main!.command).toEqual(["sh"]);
  expect(main!.args).toEqual(["/etc/gpubox/entrypoint.sh"]);
});

test("a gateway's files are an immutable ConfigMap and Secret by hash, side by side in /etc/gpubox", () => {
  const { volumes, containers } = find(objects, "Deployment", "gateway").spec.template.spec;
  const files = volumes.find(({ name }) => name === "files")!;
  const config = all(objects, "ConfigMap").find(({ metadata }) => metadata.name.startsWith("gateway-"))!;
  const secret = secrets.find(({ metadata }) => metadata.name.startsWith("gateway-"))!;
  expect(files).toEqual({
    name: "files",
    projected: {
      defaultMode: 0o440,
      sources: [{ configMap: { name: config.metadata.name } }, { secret: { name: secret.metadata.name } }],
    },
  });
  expect(config.metadata.name).toMatch(/^gateway-[0-9a-f]{12}$/);
  expect(config.immutable).toBe(true);
  expect(Object.keys(config.data)).toEqual(
    expect.arrayContaining(["config.yaml", "entrypoint.sh", "prove.py", "generation.json"]),
  );
  expect(Object.keys(secret.files)).toEqual(["gateway.env"]);
  expect(containers[0]!.volumeMounts[0]).toEqual({ name: "files", mountPath: "/etc/gpubox", readOnly: true });
});

test("the grace of a pod is above every drain: that of a gateway and of an edge is drainTimeout and a minute", () => {
  const drained = renderKubernetes(clusterPlan({ gateway: { drainTimeout: 90 }, models: { tiny: hub } }));
  for (const name of ["gateway", "edge"])
    expect(find(drained.objects, "Deployment", name).spec.template.spec.terminationGracePeriodSeconds).toBe(
      150,
    );
  const [backend] = plan.backends;
  const { spec } = find(objects, "Deployment", "backend-tiny").spec.template;
  // Five seconds until nothing new comes, thirty for what runs, and the server's own end.
  expect(spec.terminationGracePeriodSeconds).toBe(35 + backend!.service.container.stopGraceSeconds);
  expect(spec.containers[0]!.lifecycle!.preStop.exec.command.join(" ")).toContain("sleep 5; left=30;");
});

test("gateways and edges are spread over nodes, and a drained node takes one at a time", () => {
  for (const name of ["gateway", "edge"]) {
    const { template } = find(objects, "Deployment", name).spec;
    expect(template.spec.topologySpreadConstraints).toEqual([
      expect.objectContaining({
        topologyKey: "kubernetes.io/hostname",
        labelSelector: { matchLabels: { "gpubox.stack": "test", "gpubox.role": name } },
      }),
    ]);
    expect(find(objects, "PodDisruptionBudget", name).spec).toEqual({
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: { "gpubox.stack": "test", "gpubox.role": name } },
    });
  }
});

test("without a Redis there is one gateway, as on Docker", () => {
  const alone = kubernetesObjects(clusterPlan({ cache: { mode: "none" }, models: { tiny: hub } }));
  expect(find(alone, "Deployment", "gateway").spec.replicas).toBe(1);
  expect(all(alone, "PodDisruptionBudget").map(({ metadata }) => metadata.name)).toEqual(["edge"]);
});

test("the edge has a config of its own, without a switch, and leads to the gateways' Service", () => {
  const config = all(objects, "ConfigMap").find(({ metadata }) => metadata.name.startsWith("edge-"))!;
  expect(Object.keys(config.data).sort()).toEqual(
    [
      "body.lua",
      "entrypoint.sh",
      "haproxy.cfg",
      "heal.sh",
      "health.sh",
      "hold.lua",
      "silent.lua",
      "upstream.cfg",
    ].sort(),
  );
  expect(config.data["upstream.cfg"]).toContain("server s1 gateway:4000");
  expect(config.data["haproxy.cfg"]).toContain("edge.gpubox-test.svc.cluster.local");
  expect(find(objects, "Service", "edge").spec).toEqual({
    type: "ClusterIP",
    selector: { "gpubox.stack": "test", "gpubox.role": "edge" },
    ports: [{ name: "clients", port: 4000, targetPort: 4000, protocol: "TCP" }],
  });
});

test("a valve becomes a Service of its name and port, so that the routes stay what they are on Docker", () => {
  const config = all(objects, "ConfigMap").find(({ metadata }) => metadata.name.startsWith("gateway-"))!;
  const [port] = find(objects, "Service", "valve-tiny").spec.ports;
  expect(config.data["config.yaml"]).toContain(`http://valve-tiny:${port!.port}`);
  const [main] = find(objects, "Deployment", "backend-tiny").spec.template.spec.containers;
  expect(main!.args[main!.args.indexOf("--port") + 1]).toBe(String(port!.targetPort));
});

test("a server is replaced in place, and asks for whole GPUs by the name that its vendor's plugin has for them", () => {
  const made = kubernetesObjects(clusterPlan({ host: gpus, models: { big: vllm(1) } }));
  const { spec } = find(made, "Deployment", "backend-big");
  expect(spec.strategy).toEqual({ type: "Recreate" });
  const [main] = spec.template.spec.containers;
  expect(main!.resources.limits).toMatchObject({ "nvidia.com/gpu": "1", memory: "32768Mi" });
  expect(main!.resources.requests).toEqual(main!.resources.limits);
  expect(spec.template.spec.tolerations).toEqual([
    { key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" },
  ]);
  expect(main!.env).toContainEqual({ name: "GPUBOX_LOCKS", value: "" });
  expect(main!.volumeMounts.map(({ mountPath }) => mountPath)).not.toContain("/run/gpubox/locks");
});

test("an AMD GPU comes by its plugin, without device files, and the pod is told no index", () => {
  const host = { gpus: [{ id: 1, memoryGiB: 192, vendor: "amd" }], gpuGroups: [44] };
  const made = kubernetesObjects(clusterPlan({ host, models: { big: { ...hub, gpu: { devices: [1] } } } }));
  const { spec } = find(made, "Deployment", "backend-big").spec.template;
  expect(spec.containers[0]!.resources.limits).toMatchObject({ "amd.com/gpu": "1" });
  expect(spec.containers[0]!.env!.map(({ name }) => name)).not.toContain("ROCR_VISIBLE_DEVICES");
  expect(spec.securityContext.supplementalGroups).toEqual([44]);
});

test("weights are loaded into the model's own volume before its server starts, by a program that reads its input from a file", () => {
  const { spec } = find(objects, "Deployment", "backend-tiny").spec.template;
  const [loader] = spec.initContainers!;
  expect(loader!.command.slice(0, 2)).toEqual(["sh", "-c"]);
  expect(loader!.volumeMounts).toContainEqual({ name: "models", mountPath: "/srv/gpubox/models" });
  expect(spec.volumes).toContainEqual({
    name: "models",
    persistentVolumeClaim: { claimName: "backend-tiny-weights" },
  });
  expect(find(objects, "PersistentVolumeClaim", "backend-tiny-weights").spec).toEqual({
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: "100Gi" } },
  });
  const mount = spec.containers[0]!.volumeMounts.find(({ name }) => name === "models")!;
  expect(mount).toEqual({
    ...{ name: "models", readOnly: true, subPath: "hf/acme/tiny-GGUF/main" },
    mountPath: "/srv/gpubox/models/hf/acme/tiny-GGUF/main",
  });
});

test("the hub's token stands in a Secret alone, and another token is another Secret", () => {
  const withToken = (hfToken: string) =>
    renderKubernetes(clusterPlan({ models: { tiny: hub } }, { secrets: { hfToken } }));
  const [one, two] = ["hf_PLANTED_one_0123456789abcdef", "hf_PLANTED_two_0123456789abcdef"].map(withToken);
  const tokens = ({ secrets: list }: typeof one & object) =>
    list
      .filter(({ files }) => Object.keys(files).some((name) => name.startsWith("weights-")))
      .map(({ metadata }) => metadata.name);
  expect(tokens(one!)).toHaveLength(1);
  expect(tokens(one!)).not.toEqual(tokens(two!));
  expect(JSON.stringify(one!.objects)).not.toContain("PLANTED");
});

test("the database is a StatefulSet on a claim that nothing prunes, and Postgres is stopped fast", () => {
  const { spec } = find(objects, "StatefulSet", "database");
  expect(spec.template.spec.volumes).toContainEqual({
    name: "data",
    persistentVolumeClaim: { claimName: "database" },
  });
  expect(find(objects, "PersistentVolumeClaim", "database").metadata.annotations).toEqual({
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
  });
  expect(spec.template.spec.containers[0]!.lifecycle!.preStop.exec.command[2]).toMatch(/^kill -INT 1;/);
});

test("the migration is a Job with the backup before it, and gateways wait for the schema", () => {
  const job = all(objects, "Job").find(({ metadata }) => metadata.name.startsWith("migrate-"))!;
  const { spec } = job.spec.template;
  expect(spec.initContainers!.map(({ name, args }) => [name, ...args])).toEqual([
    ["backup", "7", "before-migration"],
  ]);
  expect(spec.containers[0]!.args).toEqual(["/etc/gpubox/migrate.sh"]);
  expect(spec.containers[0]!.env!.map(({ name }) => name)).not.toContain("DISABLE_SCHEMA_UPDATE");
  const [wait] = find(objects, "Deployment", "gateway").spec.template.spec.initContainers!;
  expect(wait!.args.join()).toContain("await_schema.py");
  const secret = secrets.find(({ metadata }) => metadata.name.startsWith("migrate-"))!;
  expect(secret.files["gateway.env"]![0]).toBe("DATABASE_URL=");
});

test("an external database is neither made nor backed up", () => {
  const secretsOf = { databaseUrl: "postgresql://u:PLANTEDpassword@db.example/litellm" };
  const values = {
    database: { mode: "external", url: { secret: "databaseUrl" } },
    models: { tiny: hub },
  };
  const made = kubernetesObjects(clusterPlan(values, { secrets: secretsOf }));
  expect(made.filter(({ kind }) => kind === "StatefulSet" || kind === "CronJob")).toEqual([]);
  const job = all(made, "Job").find(({ metadata }) => metadata.name.startsWith("migrate-"))!;
  expect(job.spec.template.spec.initContainers).toBeUndefined();
  expect(find(made, "NetworkPolicy", "migrate").spec.policyTypes).toEqual(["Ingress"]);
});

test("each model is proven by a Job of its own, which asks gateways that serve this version of it", () => {
  const job = all(objects, "Job").find(({ metadata }) => metadata.name.startsWith("prove-tiny-"))!;
  const service = all(objects, "Service").find(({ metadata }) => metadata.name.startsWith("prove-tiny-"))!;
  const [main] = job.spec.template.spec.containers;
  expect(main!.args.slice(0, 4)).toEqual(["--backend", "tiny", "--mode", "chat"]);
  expect(main!.env).toContainEqual({
    name: "GPUBOX_PROVE_URL",
    value: `http://${service.metadata.name}:4000`,
  });
  const { labels } = find(objects, "Deployment", "gateway").spec.template.metadata;
  expect(service.spec.selector).toEqual({
    ...{ "gpubox.stack": "test", "gpubox.role": "gateway" },
    "gpubox.model/tiny": labels["gpubox.model/tiny"],
  });
  expect(job.spec.backoffLimit).toBe(1);
});

test("a model that a person starts, and a mode without a proof, have no such Job", () => {
  const models = {
    idle: { ...hub, start: "manual" },
    ear: {
      engine: "openai",
      baseUrl: "http://speech.example:8000/v1",
      mode: "audio_transcription",
      apiKey: "none",
    },
  };
  const made = kubernetesObjects(clusterPlan({ models }));
  expect(all(made, "Job").filter(({ metadata }) => metadata.name.startsWith("prove-"))).toEqual([]);
  expect(find(made, "Deployment", "backend-idle").spec.replicas).toBe(0);
});

test("policies mirror the networks: stores and servers have no way out, and only gateways reach them", () => {
  const from = (name: string) =>
    find(objects, "NetworkPolicy", name).spec.ingress!.map(({ from: peers, ports }) => [
      peers?.map(({ podSelector }) => podSelector?.matchLabels?.["gpubox.role"]),
      ports?.map(({ port }) => port),
    ]);
  expect(from("cache")).toEqual([[["gateway"], [6379]]]);
  expect(from("database")).toEqual([[["gateway", "migrate", "backup"], [5432]]]);
  expect(from("gateway")).toEqual([[["edge", "prove", "access"], [4000]]]);
  expect(from("edge")).toEqual([[undefined, [4000]]]);
  for (const name of ["cache", "database"]) {
    const { policyTypes, egress } = find(objects, "NetworkPolicy", name).spec;
    // Closed: named, and without a rule.
    expect([policyTypes, egress]).toEqual([["Ingress", "Egress"], undefined]);
  }
  // It loads its weights itself.
  expect(find(objects, "NetworkPolicy", "backend-tiny").spec.egress).toEqual([
    {
      ports: [
        { port: 53, protocol: "UDP" },
        { port: 53, protocol: "TCP" },
      ],
    },
    { ports: [{ port: 443, protocol: "TCP" }] },
  ]);
  expect(find(objects, "NetworkPolicy", "gateway").spec.policyTypes).toEqual(["Ingress"]);
});

test("a box without a root fits the level restricted, and its namespace enforces that", () => {
  expect(find(objects, "Namespace", "gpubox-test").metadata.labels).toMatchObject({
    "pod-security.kubernetes.io/enforce": "restricted",
  });
  for (const [name, pod] of podsOf(objects)) {
    const { securityContext, automountServiceAccountToken } = pod.spec;
    expect([name, securityContext.runAsNonRoot, securityContext.seccompProfile.type]).toEqual([
      name,
      true,
      "RuntimeDefault",
    ]);
    expect(automountServiceAccountToken).toBe(false);
    for (const container of containersOf(pod))
      expect([name, container.securityContext]).toEqual([
        name,
        expect.objectContaining({ allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } }),
      ]);
  }
});

test.each([
  ["sglang", { engine: "sglang", gpu: { devices: [0], memoryGiB: 60 } }, "baseline"],
  ["vLLM on the CPU", { engine: "vllm", memoryMiB: 16_384 }, "privileged"],
])("an image that wants more, %s, lowers the level of the namespace to %s", (_, entry, level) => {
  const made = kubernetesObjects(
    clusterPlan({ host: gpus, models: { m: { model: "hf://acme/big", ...entry } } }),
  );
  expect(find(made, "Namespace", "gpubox-test").metadata.labels).toMatchObject({
    "pod-security.kubernetes.io/enforce": level,
  });
});

test("where somebody else makes the namespace, it is not among the objects", () => {
  const made = kubernetesObjects(
    clusterPlan({ kubernetes: { makeNamespace: false, namespace: "ai" }, models: { tiny: hub } }),
  );
  expect(all(made, "Namespace")).toEqual([]);
  expect(new Set(made.map(({ metadata }) => metadata.namespace))).toEqual(new Set(["ai"]));
});

test("images that were built here are looked for in the declared registry", () => {
  const built = clusterPlan({ kubernetes: { registry: "registry.example/ai" }, models: { tiny: hub } });
  built.edge.container.image = "gpubox/edge:0123456789ab";
  const images = podsOf(kubernetesObjects(built)).flatMap(([, pod]) =>
    containersOf(pod).map(({ image }) => image),
  );
  expect(images).toContain("registry.example/ai/gpubox/edge:0123456789ab");
  expect(images).toContain("image/gateway");
});

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { kubernetesObjects } from "../../configs/plan/kubernetes/render";
import { collectCluster } from "../../operations/doctor/collectCluster";
import { diagnoseCluster } from "../../operations/doctor/diagnoseCluster";
import { clusterDrift } from "../../operations/drift/clusterDrift";
import { collectClusterDrift } from "../../operations/drift/collectCluster";
import { secretManifests } from "../../operations/kubernetes/manifests";
import { throughEdge } from "../../operations/kubernetes/through";
import { clusterLogs } from "../../operations/logs/clusterLogs";
import type { LogLine } from "../../operations/logs/logLines";
import { readLogs } from "../../operations/logs/readLogs";
import { clusterStatusOfModels } from "../../operations/models/collectClusterStatus";
import { smokeChecks } from "../../operations/smoke/stack";
import { allocate } from "../support/allocate";
import { API_SERVER, ApiServer } from "../support/apiServer";
import { clusterStack } from "../support/cluster";
import { podOf } from "../support/clusterObjects";
import { CRASHES, RUNS } from "../support/clusterPods";
import { TINY } from "../support/clusterStacks";
import { needs } from "../support/needs";
import { NodeAgent } from "../support/nodeAgent";
import { answer, type Behaviour, HEALTHY } from "../support/smokeStub";
import { testSecrets } from "../support/stacks";
import { until } from "../support/wait";

const MINUTE = 60_000;
const VALUES = {
  kubernetes: { context: "admin", namespace: "box" },
  models: { tiny: TINY, other: { ...TINY, gpu: { devices: [0] } } },
  host: { gpus: [{ id: 0, memoryGiB: 80 }] },
};

/** What a real API server and the real kubectl make of the questions. Controllers and a node's agent are played. */
needs(...API_SERVER, "openssl")("a box on a cluster, as its verbs see it", () => {
  const agent = new NodeAgent();
  const { plan, config } = clusterStack(VALUES);
  let server: ApiServer;
  let edge: Server;
  const before = process.env.KUBECONFIG;

  const ROLES = ["edge", "gateway", "cache", "database", "backend-tiny", "backend-other"];

  beforeAll(async () => {
    server = await ApiServer.start(allocate("verbs"));
    process.env.KUBECONFIG = server.kubeconfig;
    await agent.start(server, "n1", { "nvidia.com/gpu": "1" });
    const { objects, secrets } = {
      objects: kubernetesObjects(plan),
      secrets: secretManifests(plan, testSecrets),
    };
    await server.apply("box", [
      ...objects.filter(({ kind }) => kind === "Namespace"),
      ...secrets,
      ...objects.filter(({ kind }) => kind !== "Namespace"),
    ]);
    for (const role of ROLES) await addPod(role);
    for (const claim of ["database", "backups"]) await server.status("box", "pvc", claim, { phase: "Bound" });
    const fast = { name: "fast", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } };
    const storage = { apiVersion: "storage.k8s.io/v1", kind: "StorageClass" };
    await server.apply("default", [{ ...storage, metadata: fast, provisioner: "test" }], "test");
    edge = createServer(async (request, response) => {
      let body = "";
      for await (const part of request) body += part;
      const kind = body === "" ? "" : body.includes('"stream":true') ? " streamed" : " plain";
      const isOurs = request.headers.authorization === `Bearer ${testSecrets.masterKey}`;
      const known: Record<string, Behaviour> = {
        ...HEALTHY,
        "/v1/models": answer(200, { data: [{ id: "tiny" }, { id: "other" }] }),
        "/v1/models/gpubox-probe": isOurs ? answer(404, "no such model") : answer(401, "no"),
      };
      (known[`${request.url}${kind}`] ?? answer(404, "no such path"))(response);
    }).listen(0, "127.0.0.1");
    await until("the edge listens", () => edge.listening);
    agent.pods.life.port = (pod, port) =>
      pod === "edge-1" && port === 4000 ? (edge.address() as AddressInfo).port : undefined;
  }, 3 * MINUTE);

  afterAll(async () => {
    if (before === undefined) delete process.env.KUBECONFIG;
    else process.env.KUBECONFIG = before;
    agent.close();
    edge?.close();
    await server?.stop();
  }, MINUTE);

  /** What a controller and a node do for a part: a pod that runs, and a workload that says so. */
  async function addPod(role: string, name = `${role}-1`): Promise<void> {
    const labels = {
      ...{ "gpubox.stack": "test", "gpubox.role": role },
      ...(role === "gateway" ? { "gpubox.generation": plan.gateway.generation } : {}),
    };
    const spec = podOf({ nodeName: "n1", terminationGracePeriodSeconds: 0 });
    await server.apply("box", [{ apiVersion: "v1", kind: "Pod", metadata: { name, labels }, spec }], "test");
    await podStatus(name, {});
    const kind = role === "database" ? "statefulset" : "deployment";
    const wanted = Number(
      await server.output(["get", kind, role, "--output", "jsonpath={.spec.replicas}"], undefined, "box"),
    );
    await server.status("box", kind, role, { replicas: wanted, readyReplicas: wanted });
  }

  const podStatus = (name: string, status: object) =>
    server.status("box", "pod", name, {
      phase: "Running",
      conditions: [{ type: "Ready", status: "True" }],
      containerStatuses: [RUNS].map(asReported),
      ...status,
    });
  const asReported = (one: object) => ({ ...one, image: "any", imageID: "any" });

  const drift = async () => clusterDrift(plan, await collectClusterDrift(plan));
  const differences = async () => (await drift()).differences.map(({ what }) => what);

  test("a cluster that was just brought up has no drift, and the question changes nothing", async () => {
    const contents = await server.contents("box");
    expect(await drift()).toEqual({ stack: "test", differences: [], configChanged: false, notChecked: [] });
    expect(await server.contents("box")).toEqual(contents);
  });

  test(
    "what somebody scaled, removed, added and set beside the plan is drift, with who did it",
    async () => {
      const kubectl = (...args: string[]) => server.output(args, undefined, "box");
      await kubectl("scale", "deployment/gateway", "--replicas=5");
      await kubectl("set", "env", "deployment/backend-tiny", "DEBUG=PLANTED");
      await kubectl("set", "image", "deployment/edge", "main=other:1");
      await kubectl("delete", "service", "edge-admin");
      const stray = {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "stray", labels: { "gpubox.stack": "test" } },
      };
      await server.apply("box", [stray], "helm");
      const report = await drift();
      expect(report.differences.map(({ what }) => what)).toEqual([
        "Service edge-admin is missing.",
        expect.stringMatching(
          /^Deployment backend-tiny is not as planned, by kubectl-set: it has spec\.template\.spec\.containers\[main\]\.env\[DEBUG\]\.$/,
        ),
        expect.stringMatching(
          /^Deployment edge is not as planned, by kubectl-set: spec\.template\.spec\.containers\[main\]\.image is other:1 instead of \S+\.$/,
        ),
        "Deployment gateway is not as planned, by kubectl: spec.replicas is 5 instead of 2.",
        "ConfigMap stray has the box's label, and is not in its plan.",
      ]);
      expect(JSON.stringify(report)).not.toContain("PLANTED");
      expect([report.configChanged, report.notChecked]).toEqual([false, []]);

      await kubectl("set", "env", "deployment/backend-tiny", "DEBUG-");
      await kubectl("delete", "configmap", "stray");
      await server.apply("box", kubernetesObjects(plan));
      expect(await differences()).toEqual([]);
    },
    MINUTE,
  );

  test("a changed stack file is drift that nobody else set", async () => {
    const changed = clusterStack({
      ...VALUES,
      models: { ...VALUES.models, tiny: { ...TINY, memoryMiB: 3000 } },
    });
    const report = clusterDrift(changed.plan, await collectClusterDrift(changed.plan));
    expect(report.configChanged).toBe(true);
    const tiny = report.differences.find(({ subject }) => subject === "Deployment backend-tiny");
    expect(tiny).toMatchObject({ kind: "fields", byUp: true, affected: { models: ["tiny"] } });
  });

  test("who may look and not rehearse is told what was not compared", async () => {
    const { plan: theirs } = clusterStack({
      ...VALUES,
      kubernetes: { context: "visitor", namespace: "box" },
    });
    await expect(collectClusterDrift(theirs)).rejects.toThrow(
      /^The API server does not let you look in the namespace box: /,
    );
    const rules = [
      {
        apiGroups: ["", "apps", "batch", "networking.k8s.io", "policy"],
        resources: ["*"],
        verbs: ["get", "list"],
      },
    ];
    const at = { apiVersion: "rbac.authorization.k8s.io/v1" };
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "look" };
    await server.apply(
      "box",
      [
        { ...at, kind: "Role", metadata: { name: "look" }, rules },
        {
          ...at,
          kind: "RoleBinding",
          metadata: { name: "look" },
          roleRef,
          subjects: [{ kind: "Group", name: "visitors" }],
        },
      ],
      "test",
    );
    const report = clusterDrift(theirs, await collectClusterDrift(theirs));
    expect(report.differences).toEqual([]);
    expect(report.notChecked).toEqual([
      expect.stringMatching(/^fields of objects: .* cannot patch resource /),
    ]);
  });

  test(
    "through a forward of the edge's Service the box is smoked, and logs are read by part",
    async () => {
      const checks = await throughEdge(plan, config, (ways) =>
        smokeChecks(
          { ...config, database: { ...config.database, mode: "none" } } as typeof config,
          testSecrets,
          () => {},
          ways,
        ),
      );
      expect(checks.filter(({ ok }) => !ok)).toEqual([]);
      expect(checks.map(({ check }) => check)).toEqual(
        expect.arrayContaining([
          "a wrong key",
          "an admin route",
          "tiny /v1/messages streamed",
          "other /v1/completions plain",
        ]),
      );

      agent.pods.life.log = (pod) => [`2026-11-01T10:00:00.000000000Z ${pod} says tiny`];
      const lines: LogLine[] = [];
      const print = (line: LogLine) => void lines.push(line);
      const place = clusterLogs(plan, "15m");
      await readLogs({
        box: plan,
        place,
        config,
        secrets: testSecrets,
        of: "tiny",
        follow: true,
        raw: false,
        print,
      });
      expect(lines.map(({ text }) => text).sort()).toEqual([
        "backend-tiny-1 says tiny",
        "gateway-1 says tiny",
      ]);
    },
    MINUTE,
  );

  test(
    "a pod that no node takes and one that crashes are states of their models, and the doctor's findings",
    async () => {
      agent.pods.life.log = () => [];
      const wait = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu";
      await server.output(
        ["delete", "pod", "backend-other-1", "--grace-period=0", "--force", "--ignore-not-found"],
        undefined,
        "box",
      );
      const labels = { "gpubox.stack": "test", "gpubox.role": "backend-other" };
      const metadata = { name: "backend-other-2", labels };
      await server.apply("box", [{ apiVersion: "v1", kind: "Pod", metadata, spec: podOf() }], "test");
      await server.status("box", "pod", "backend-other-2", {
        conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: wait }],
      });
      await server.status("box", "deployment", "backend-other", { replicas: 1, readyReplicas: 0 });
      const now = new Date(Date.now() - MINUTE).toISOString().replace(/\.\d+/, "");
      const crash = {
        ...CRASHES,
        lastState: { terminated: { ...CRASHES.lastState.terminated, finishedAt: now, startedAt: now } },
      };
      await podStatus("gateway-1", {
        conditions: [{ type: "Ready", status: "False" }],
        containerStatuses: [asReported(crash)],
      });
      await server.status("box", "deployment", "gateway", { replicas: 2, readyReplicas: 0 });

      const all = await clusterStatusOfModels(plan, config, testSecrets);
      expect(all.map(({ model, state, listed, replicas }) => [model, state, listed, replicas])).toEqual([
        ["other", `waits for a node: ${wait}`, true, { ready: 0, wanted: 1 }],
        ["tiny", "loaded", true, { ready: 1, wanted: 1 }],
      ]);

      const facts = await collectCluster({ box: plan, config, secrets: testSecrets, since: "15m" });
      const verdicts = diagnoseCluster(plan, facts);
      const found = verdicts.flatMap(({ row, state, findings }) =>
        state === "wrong" ? findings.map(({ what }) => [row, what]) : [],
      );
      expect(found).toEqual([
        ["gateway", "The gateway: 0 of 2 pods are ready: it ended with exit code 1, started again 4 times."],
        ["model", `Model other: 0 of 1 pods are ready: waits for a node: ${wait}.`],
      ]);
      expect(verdicts.find(({ row }) => row === "restarted")?.findings[0]?.what).toBe(
        `gateway-1 ended with exit code 1 at ${now}, and was started again 4 times.`,
      );
      expect(JSON.stringify(facts)).not.toContain("PLANTED");
    },
    2 * MINUTE,
  );

  test("of a cluster that does not answer the doctor says why, and nothing else", async () => {
    const { plan: nowhere } = clusterStack({ ...VALUES, kubernetes: { context: "nowhere" } });
    const facts = await collectCluster({ box: nowhere, config, secrets: testSecrets, since: "15m" });
    const [first, ...rest] = diagnoseCluster(nowhere, facts);
    expect(first?.findings.map(({ what }) => what)).toEqual([
      expect.stringMatching(/^The context "nowhere" does not answer: /),
    ]);
    expect(rest.every(({ state }) => state === "not looked at")).toBe(true);
  });
});

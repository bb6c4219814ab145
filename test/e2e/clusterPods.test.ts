import { rmSync } from "node:fs";
import type { PodTemplate } from "../../configs/plan/kubernetes/objects";
import { clusterAt } from "../../operations/kubernetes/ask";
import { throughEdge } from "../../operations/kubernetes/through";
import { smokeChecks } from "../../operations/smoke/stack";
import { sinceDay, usageBy } from "../../operations/usage/usage";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { repositoryResolved } from "../../platform/stack/resolved";
import { allocate, scratch } from "../support/allocate";
import { API_SERVER, ApiServer } from "../support/apiServer";
import { all, clusterStack, find, podsOf } from "../support/cluster";
import { podOf } from "../support/clusterObjects";
import { needs, testNeeds } from "../support/needs";
import { NodeAgent } from "../support/nodeAgent";
import { Pods } from "../support/pods";
import { testSecrets } from "../support/stacks";
import { until } from "../support/wait";

const MINUTE = 60_000;
const IMAGES = ["gateway", "edge", "cache", "database", "llamacpp"].map((role) => `the image gpubox/${role}`);

/** What the images make of the pods that are rendered. Which node gets one, and what a Service does, is a cluster's to show. */
needs("root", ...IMAGES)("the pods of a stack for Kubernetes", () => {
  const network = `gpubox-${allocate("pods").stack}`;
  const dir = scratch("pods", "/var/tmp");
  const resolved = { ...repositoryResolved(packageDir), offlineModels: ["tiny"], knownModels: ["tiny"] };
  const source = "hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf";
  const tiny = { engine: "llamacpp", model: source, offlineModel: "canned", memoryMiB: 2048 };
  const { config, plan } = clusterStack({ models: { tiny } }, { resolved });
  const pods = new Pods(plan, testSecrets, network, dir);
  const started: string[] = [];

  const deployment = (name: string) => find(pods.objects, "Deployment", name).spec.template;
  const start = (name: string, pod: PodTemplate) => {
    started.push(name);
    return pods.start(name, pod);
  };
  const job = (begin: string) =>
    all(pods.objects, "Job").find(({ metadata }) => metadata.name.startsWith(begin))!.spec.template;
  const backup = () => find(pods.objects, "CronJob", "backup").spec.jobTemplate.spec.template;

  beforeAll(async () => {
    await run("docker", ["network", "create", network]);
  });
  afterAll(async () => {
    await run("docker", ["rm", "--force", ...started.map((name) => pods.called(name))]);
    await run("docker", ["network", "rm", network]);
    rmSync(dir, { recursive: true, force: true });
  }, MINUTE);

  test(
    "stores and a model's server come up with the files, users and volumes that they are given",
    async () => {
      expect(podsOf(pods.objects).map(([name]) => name)).toContain("Deployment gateway");
      await start("cache", deployment("cache"));
      await start("database", find(pods.objects, "StatefulSet", "database").spec.template);
      await start("backend-tiny", deployment("backend-tiny"));
    },
    3 * MINUTE,
  );

  test(
    "the migration finds nothing to back up in a new database, and a gateway that waited for it is proven",
    async () => {
      const { code, stdout, stderr } = await pods.finish("migrate", job("migrate-"));
      expect([code, code === 0 ? "" : stdout + stderr]).toEqual([0, ""]);
      const said = await start("gateway", deployment("gateway"));
      expect(said).toContain(
        "proven: ready, database connected\nproven: lists tiny\nskipped: tiny is unchanged",
      );
    },
    7 * MINUTE,
  );

  test(
    "behind the edge the model is proven by its Job, and declared keys are brought in",
    async () => {
      await start("edge", deployment("edge"));
      const proven = await pods.finish("prove", job("prove-tiny-"));
      expect([proven.code, proven.stdout]).toEqual([
        0,
        expect.stringMatching(/^proven: tiny answers \(chat/),
      ]);
      expect((await pods.finish("access", job("access-"))).code).toBe(0);
      const body = '{"model":"tiny","messages":[{"role":"user","content":"hi"}]}';
      const ask = `import sys,urllib.request as u
key=sys.stdin.readline().strip()
headers={"Authorization":"Bearer "+key,"content-type":"application/json"}
print(u.urlopen(u.Request("http://edge:4000/v1/chat/completions",headers=headers,data=b'${body}')).read().decode())`;
      const asked = await pods.exec(
        "gateway",
        { exec: { command: ["python3", "-c", ask] } },
        `${testSecrets.masterKey}\n`,
      );
      expect([asked.code, asked.stdout]).toEqual([0, expect.stringContaining("pong")]);
    },
    2 * MINUTE,
  );

  test(
    "a server without requests is drained at once, and the scheduled backup is a whole dump",
    async () => {
      const { preStop } = deployment("backend-tiny").spec.containers[0]!.lifecycle!;
      const begin = Date.now();
      expect((await pods.exec("backend-tiny", preStop)).code).toBe(0);
      expect(Date.now() - begin).toBeLessThan(30_000);
      const { code, stdout } = await pods.finish("backup", backup());
      expect([code, stdout]).toEqual([
        0,
        expect.stringMatching(/^backed up as \/backups\/\w+-scheduled\.dump\n$/),
      ]);
    },
    2 * MINUTE,
  );

  testNeeds(...API_SERVER, "openssl")(
    "an API server and kubectl carry smoke to the edge's pod, with a virtual key, and usage to the database's",
    async () => {
      const [server, agent] = [await ApiServer.start(allocate("pod-verbs")), new NodeAgent()];
      const before = process.env.KUBECONFIG;
      process.env.KUBECONFIG = server.kubeconfig;
      try {
        await agent.start(server, "n1");
        const { namespace } = clusterAt(plan);
        const kinds = ["Namespace", "Service", "StatefulSet"];
        await server.apply(
          namespace,
          pods.objects.filter(({ kind }) => kinds.includes(kind)),
        );
        for (const role of ["edge", "database"]) {
          const metadata = { name: role, labels: { "gpubox.stack": "test", "gpubox.role": role } };
          const pod = { apiVersion: "v1", kind: "Pod", metadata, spec: podOf({ nodeName: "n1" }) };
          await server.apply(namespace, [pod], "test");
          await server.status(namespace, "pod", role, { phase: "Running" });
        }
        const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        const host = await output("docker", ["inspect", "--format", format, pods.called("edge")]);
        agent.pods.life = {
          port: (pod, port) => (pod === "edge" ? { host, port } : undefined),
          command: (pod, words) => ["docker", "exec", "-i", pods.called(pod), ...words],
        };

        const checks = await throughEdge(plan, config, (ways) =>
          smokeChecks(config, testSecrets, () => {}, ways),
        );
        expect(checks.filter(({ ok }) => !ok)).toEqual([]);
        expect(checks.map(({ check }) => check)).toContain("a virtual key");

        const at = { cluster: clusterAt(plan), workload: "statefulset/database", look: "" };
        const seen = async () => {
          const rows = await usageBy(at, "model", sinceDay("1d"));
          return rows.find(({ name, requests }) => name === "tiny" && requests > 0);
        };
        // LiteLLM writes its daily sums every minute or so.
        await until("the requests of smoke are in the sums", seen, { everyMs: 2_000 });
        expect(agent.pods.commands.join()).not.toContain("PLANTED");
      } finally {
        if (before === undefined) delete process.env.KUBECONFIG;
        else process.env.KUBECONFIG = before;
        agent.close();
        await server.stop();
      }
    },
    4 * MINUTE,
  );
});

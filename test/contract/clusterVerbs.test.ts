import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { stringify } from "yaml";
import { clusterAt } from "../../operations/kubernetes/ask";
import { throughEdge } from "../../operations/kubernetes/through";
import { clusterStatusOfModels } from "../../operations/models/collectClusterStatus";
import { listedModels } from "../../operations/smoke/listed";
import { smokeChecks } from "../../operations/smoke/stack";
import { sendTo } from "../../operations/smoke/tlsBox";
import { usageBy } from "../../operations/usage/usage";
import { run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { scratch } from "../support/allocate";
import { makeCertificate } from "../support/certificates";
import { clusterStack } from "../support/cluster";
import { CRASHES, podObject } from "../support/clusterPods";
import { TINY } from "../support/clusterStacks";
import { ClusterStub } from "../support/clusterStub";
import { needs, testNeeds } from "../support/needs";
import { answer, type Behaviour, HEALTHY } from "../support/smokeStub";
import { testSecrets } from "../support/stacks";
import { until } from "../support/wait";

/** The stack of these tests, and its parsed config. */
const VALUES = {
  kubernetes: { context: "admin", namespace: "box" },
  cache: { mode: "none" },
  database: { mode: "none" },
  models: { tiny: TINY },
};

const SERVICE = {
  kind: "Service",
  metadata: { name: "edge", namespace: "box" },
  spec: { selector: { "gpubox.role": "edge" }, ports: [{ port: 4000, targetPort: 4000 }] },
};

needs("kubectl")("through kubectl", () => {
  let stub: ClusterStub;
  let undo: () => void;
  let box: Server;
  const { plan, config } = clusterStack(VALUES);
  /** `METHOD path`, and the key that came along. */
  let asked: [string, string | undefined][];
  let faults: Record<string, Behaviour>;

  beforeEach(async () => {
    [asked, faults] = [[], {}];
    stub = new ClusterStub();
    await stub.start();
    undo = stub.asDefault();
    stub.objects = [SERVICE, podObject("edge-1", "edge")];
    box = createServer(async (request, response) => {
      let body = "";
      for await (const part of request) body += part;
      asked.push([`${request.method} ${request.url}`, request.headers.authorization]);
      const kind = body === "" ? "" : body.includes('"stream":true') ? " streamed" : " plain";
      (({ ...HEALTHY, ...faults })[`${request.url}${kind}`] ?? answer(404, "no such path"))(response);
    }).listen(0, "127.0.0.1");
    await until("the box listens", () => box.listening);
    stub.agent.life.port = (name, port) =>
      name === "edge-1" && port === 4000 ? (box.address() as AddressInfo).port : undefined;
  });
  afterEach(() => {
    undo();
    stub.close();
    box.closeAllConnections();
    box.close();
  });

  test("a box is asked what a box on a host is asked, and the way to it ends after that", async () => {
    faults = {
      "/health/readiness": answer(200, { status: "healthy" }),
      "/v1/models/gpubox-probe": answer(401, "no"),
    };
    const lines: string[] = [];
    let endpoint = "";
    const checks = await throughEdge(plan, config, (ways) => {
      endpoint = ways.endpoint;
      return smokeChecks(config, testSecrets, (line) => lines.push(line), ways);
    });
    const how = ["chat/completions", "completions", "messages"].flatMap((path) =>
      ["plain", "streamed"].map((kind) => `tiny /v1/${path} ${kind}`),
    );
    expect(checks.map(({ check, ok }) => [check, ok])).toEqual(
      ["/health/readiness", "/v1/models", "a wrong key", "an admin route", ...how].map((one) => [one, true]),
    );
    expect(
      asked.filter(([, key]) => key === `Bearer ${testSecrets.masterKey}`).map(([what]) => what),
    ).toEqual([
      ...["GET /v1/models", "GET /key/gpubox-probe"],
      ...["POST /v1/chat/completions", "POST /v1/chat/completions"],
      ...["POST /v1/completions", "POST /v1/completions"],
    ]);
    expect(lines.join()).not.toContain("PLANTED");
    await until("the port is closed", () =>
      fetch(endpoint).then(
        () => false,
        () => true,
      ),
    );
  });

  test("a model that fails says so with the server's own words, while the others go on", async () => {
    faults = { "/v1/messages plain": answer(500, { error: { message: "out of memory" } }) };
    const checks = await throughEdge(plan, config, (ways) =>
      smokeChecks(config, testSecrets, () => {}, ways),
    );
    expect(checks.find(({ check }) => check === "tiny /v1/messages plain")).toEqual({
      check: "tiny /v1/messages plain",
      ok: false,
      detail: "status 500: out of memory",
    });
    expect(checks.filter(({ ok }) => ok).map(({ check }) => check)).toContain("tiny /v1/messages streamed");
  });

  test.each<[string, () => void, string]>([
    ["no namespace", () => (stub.objects = []), 'namespaces "box" not found'],
    [
      "a pod that waits",
      () => (stub.objects = [SERVICE, podObject("edge-1", "edge", { status: { phase: "Pending" } })]),
      "unable to forward port because pod is not running. Current status=Pending",
    ],
  ])("with %s the box cannot be asked, and the way out is told", async (_, without, said) => {
    without();
    const refused = throughEdge(plan, config, async () => "asked");
    await expect(refused).rejects.toMatchObject({
      what: expect.stringMatching(
        new RegExp(`^No edge of the stack test runs in the namespace box: ${said}\\.$`),
      ),
      fix: "Look at it (kubectl --context admin -n box get pods --selector gpubox.role=edge), or run `gpubox up --stack test`.",
    });
  });

  test("a cluster that knows nobody of that name is told as such", async () => {
    const { plan: theirs } = clusterStack({ ...VALUES, kubernetes: { context: "stranger" } });
    await expect(throughEdge(theirs, config, async () => "asked")).rejects.toThrow(
      "The API server does not know you: You must be logged in to the server",
    );
  });

  testNeeds("openssl")(
    "with TLS the forward is checked for the name that clients use, and a wrong one gets no key",
    async () => {
      const reach = async (names: string[]) => {
        const { certificate: cert, key } = makeCertificate({ names });
        const seen: string[] = [];
        const secure = createSecureServer({ cert, key }, (request, response) => {
          seen.push(`${request.headers.host} ${request.headers.authorization}`);
          response.end(JSON.stringify({ data: [{ id: "tiny" }] }));
        }).listen(0, "127.0.0.1");
        await until("it listens", () => secure.listening);
        stub.agent.life.port = () => (secure.address() as AddressInfo).port;
        const planned = makeCertificate({ names: ["llm.example"] });
        const secrets = { cert: planned.certificate, key: planned.key };
        const tls = { certificate: { secret: "cert" }, key: { secret: "key" } };
        const named = clusterStack({ ...VALUES, gateway: { hosts: ["llm.example"], tls } }, { secrets });
        const found = await throughEdge(named.plan, named.config, async (ways) => ({
          endpoint: ways.endpoint,
          listed: await listedModels(ways.endpoint, "sk-own", sendTo(ways)),
        }));
        secure.close();
        return { ...found, seen };
      };
      const endpoint = "https://llm.example:4000";
      const seen = ["llm.example:4000 Bearer sk-own"];
      expect(await reach(["llm.example"])).toEqual({ endpoint, listed: ["tiny"], seen });
      expect(await reach(["other.example"])).toEqual({ endpoint, listed: undefined, seen: [] });
    },
  );

  test("the state of models is that of their pods, and of what the edge lists", async () => {
    const deployment = {
      kind: "Deployment",
      metadata: { name: "backend-tiny", labels: { "gpubox.stack": "test", "gpubox.role": "backend-tiny" } },
      spec: { replicas: 2 },
      status: { readyReplicas: 1 },
    };
    const unready = { conditions: [{ type: "Ready", status: "False" }], containerStatuses: [CRASHES] };
    stub.objects.push(
      deployment,
      podObject("tiny-1", "backend-tiny"),
      podObject("tiny-2", "backend-tiny", { status: unready, spec: { nodeName: "n2" } }),
    );
    const expected = {
      ...{ model: "tiny", instance: "tiny", engine: "llamacpp", aliases: [], up: true, loaded: true },
      state: "loaded, 1 of 2 not: it ended with exit code 1, started again 4 times",
      ...{ requestsPerMinute: null, requestsNow: null, memoryKills: 0 },
      ...{ replicas: { ready: 1, wanted: 2 }, nodes: ["n1", "n2"] },
    };
    expect(await clusterStatusOfModels(plan, config, testSecrets)).toEqual([{ ...expected, listed: true }]);
    stub.objects = stub.objects.filter(({ kind }) => kind !== "Service");
    expect(await clusterStatusOfModels(plan, config, testSecrets)).toEqual([{ ...expected, listed: null }]);
    stub.forbidden = ["pods"];
    await expect(clusterStatusOfModels(plan, config, testSecrets)).rejects.toThrow(
      /^The API server does not let you look in the namespace box: pods is forbidden: .*\. Ask for the right/,
    );
  });

  test("spend is asked in the database's pod as the owner of its database, and the question comes by standard input", async () => {
    const labels = { "gpubox.role": "database" };
    stub.objects.push(podObject("database-0", "database"), {
      kind: "StatefulSet",
      metadata: { name: "database", labels },
      spec: { selector: { matchLabels: labels } },
    });
    const row = { name: "tiny", requests: 3, failed: 1, inputTokens: 5, outputTokens: 7, usd: 0.5 };
    const reply = `case "$(cat)" in *json_agg*LiteLLM_DailyUserSpend*) echo '${JSON.stringify([row])}' ;; *) echo 20 ;; esac`;
    stub.agent.life.command = () => ["sh", "-c", reply];
    const at = { cluster: clusterAt(plan), workload: "statefulset/database", look: "kubectl get it" };
    expect(await usageBy(at, "model", "2026-11-01")).toEqual([row]);
    expect(stub.agent.commands).toEqual(
      Array(2).fill(
        expect.stringMatching(
          /^database-0: sh -c PATH=.*log_in_with <\/etc\/gpubox\/password\n.*\npsql .* sh litellm$/s,
        ),
      ),
    );
    stub.agent.life.command = () => ["sh", "-c", "cat >/dev/null; echo 'ERROR:  no such table' >&2; exit 3"];
    await expect(usageBy(at, "model", "2026-11-01")).rejects.toThrow(
      /^Postgres refused: ERROR: {2}no such table/,
    );
    stub.objects = [];
    await expect(usageBy(at, "model", "2026-11-01")).rejects.toThrow(
      /^The database's pod cannot be asked: .*not found\. Look at it: kubectl get it\.$/,
    );
  });

  describe("typed by a person", () => {
    const dir = scratch("cluster-cli");
    beforeAll(() => {
      const config = Object.fromEntries(
        Object.entries({ ...VALUES, target: "kubernetes" }).map(([name, value]) => [`gpubox:${name}`, value]),
      );
      mkdirSync(join(dir, ".gpubox"));
      writeFileSync(join(dir, "Pulumi.yaml"), "name: gpubox\nruntime: nodejs\n");
      writeFileSync(join(dir, "Pulumi.test.yaml"), stringify({ config }));
      writeFileSync(join(dir, ".gpubox/secrets.test.json"), JSON.stringify(testSecrets), { mode: 0o600 });
    });
    afterAll(() => rmSync(dir, { recursive: true }));

    const gpubox = async (...words: string[]) => {
      const args = [join(packageDir, "bin/gpubox.cjs"), "--project", dir, ...words, "--stack", "test"];
      const { code, stdout, stderr } = await run(process.execPath, args, { timeoutMs: 60_000 });
      expect(stdout + stderr).not.toContain("PLANTED");
      return { code, stdout, stderr };
    };

    test("each verb asks the cluster and ends with the exit code that it has on a host", async () => {
      faults = {
        "/health/readiness": answer(200, { status: "healthy" }),
        "/v1/models/gpubox-probe": answer(401, "no"),
      };
      stub.agent.life.log = () => ["2026-11-01T10:00:01.000000000Z GET /v1/models 200"];
      const smoke = await gpubox("smoke");
      expect([smoke.code, smoke.stdout.split("\n")[0]]).toEqual([
        0,
        "smoke of http://edge.box.svc.cluster.local:4000",
      ]);
      expect(await gpubox("logs", "edge")).toMatchObject({
        code: 0,
        stdout: "10:00:01.000  edge          GET /v1/models 200\n",
      });
      const status = await gpubox("models", "status", "--json");
      expect([status.code, JSON.parse(status.stdout)]).toEqual([
        0,
        [expect.objectContaining({ model: "tiny", state: "not brought up", listed: true })],
      ]);
      const drift = await gpubox("drift");
      expect([drift.code, drift.stdout]).toEqual([
        2,
        expect.stringContaining("Deployment gateway is missing."),
      ]);
      const doctor = await gpubox("doctor");
      expect([doctor.code, doctor.stdout]).toEqual([1, expect.stringContaining("The gateway is not there.")]);
      expect(await gpubox("usage")).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("The stack test has no database in its namespace."),
      });
      expect(await gpubox("backup")).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("`gpubox backup` is for a box on Docker"),
      });
      expect(stub.changes).toEqual([]);
    });
  });
});

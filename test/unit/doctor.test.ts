import { readFileSync } from "node:fs";
import { join } from "node:path";
import { diagnose, rows, rowsMarkdown } from "../../configs/doctor";
import type { ContainerFacts, Facts, RemoteFacts } from "../../configs/doctor/facts";
import { parseRequest } from "../../configs/doctor/requests";
import { configVerdict, type Verdict } from "../../configs/doctor/row";
import { slotsOf, targetsOf } from "../../configs/doctor/ways";
import { parseState } from "../../configs/host/state";
import { servicesOf } from "../../configs/plan/box";
import { parseStat } from "../../runner/doctor/insides";
import { defaultProjectDir } from "../../runner/project";
import { testPlan } from "../support/stacks";

const box = testPlan({
  models: {
    tiny: { engine: "llamacpp", model: "file:///srv/models/tiny.gguf", memoryMiB: 1024 },
    giant: { engine: "llamacpp", model: "file:///srv/models/giant.gguf", start: "manual" },
    far: { engine: "openai", baseUrl: "http://far:9000/v1" },
    lent: { engine: "openai", baseUrl: "http://lent:9000/v1", start: "manual" },
  },
});
const valveTiny = targetsOf(box).find((target) => target.startsWith("valve-tiny:"))!;

const well = (role: string): ContainerFacts => ({
  name: `gpubox-test-${role}`,
  role,
  state: "running",
  health: "healthy",
  exitCode: 0,
  oomKilled: false,
  restarts: 0,
  error: "",
  networks: [],
});

/** A box in which nothing is wrong; `giant` was never started. */
const healthy: Facts = {
  docker: { state: "answers" },
  networks: box.networks.map(({ name }) => name),
  containers: servicesOf(box).map(({ container }) =>
    container.name === "backend-giant"
      ? { ...well(container.name), state: "created", health: undefined }
      : well(container.name),
  ),
  ports: [{ port: 4000, bind: "127.0.0.1", key: "gpubox:gateway.port", holder: "this box" }],
  listed: { status: 404 },
  databaseSeen: "Not connected",
  reach: Object.fromEntries(targetsOf(box).map((target) => [target, "open"])),
  redis: "PONG",
  postgres: "ready",
  valves: {
    tiny: { status: "UP", running: 0, held: 0 },
    giant: { status: "MAINT (resolution)", running: 0, held: 0 },
  },
  edge: {
    generation: box.gateway.generation,
    gateways: [{ gateway: "gpubox-test-gateway-1", state: "serving", requests: 0 }],
  },
  requests: [],
  unknownModels: [],
  host: {
    remote: "here",
    disks: [{ folders: ["/var/lib/docker"], freeBytes: 100e9 }],
    memory: { totalBytes: 24e9, availableBytes: 20e9 },
    gpus: {
      declared: [{ id: "0", memoryMiB: 24_000 }],
      found: { ids: ["0", "GPU-aaaa"], memoryMiB: { "0": 24_564, "GPU-aaaa": 24_564 } },
    },
  },
};

const findings = (facts: Facts) =>
  diagnose(box, facts).flatMap(({ row, findings }) => findings.map(({ what, fix }) => [row, what, fix]));

/** The healthy box with one container in another state. */
function with_(role: string, change: Partial<ContainerFacts>): Facts {
  const containers = healthy.containers!.map((one) => (one.role === role ? { ...one, ...change } : one));
  return { ...healthy, containers };
}

const logged = (status: number, byEdge = true) => ({
  frontend: "clients",
  status,
  byEdge,
  method: "POST",
  path: "/v1/x",
});
const without = (role: string): Facts => ({
  ...healthy,
  containers: healthy.containers!.filter((one) => one.role !== role),
});
/** The healthy box, on a host behind SSH. */
const remote = (change: Partial<RemoteFacts>): Facts => ({
  ...healthy,
  host: {
    ...healthy.host,
    remote: {
      state: { ...parseState(""), arch: "amd64", ntp: false },
      steps: [],
      aheadSeconds: 4,
      declaredArch: "amd64",
      ...change,
    },
  },
});
const up = "Run `npm run up -- --stack test`: it starts what should run.";

test("of a healthy box every row is looked at and none applies", () => {
  const verdicts = diagnose(box, healthy);
  expect(verdicts.filter(({ state }) => state !== "ok")).toEqual([]);
  expect(verdicts.map(({ row }) => row)).toEqual(rows.map(({ id }) => id));
});

test("what could not be looked at is neither well nor wrong", () => {
  const blind = diagnose(box, { docker: { state: "answers" }, host: {} });
  const states = new Set(blind.filter(({ row }) => row !== "docker").map(({ state }) => state));
  expect([...states]).toEqual(["not looked at"]);
});

const CASES: [name: string, row: string, facts: Facts, what: string | RegExp, fix: string | RegExp][] = [
  [
    "a host that SSH does not reach",
    "ssh",
    {
      docker: { state: "silent", reason: "" },
      host: { unreachable: { what: "The name gpu1 leads nowhere.", fix: "Correct it." } },
    },
    "The name gpu1 leads nowhere.",
    "Correct it.",
  ],
  [
    "a clock that is behind",
    "clock",
    remote({ aheadSeconds: -90 }),
    "The host's clock is 90 s behind this machine's, and no NTP keeps it.",
    /set-ntp true/,
  ],
  [
    "another processor",
    "arch",
    remote({ declaredArch: "arm64" }),
    "The host is amd64, and Pulumi.test.yaml says arm64.",
    /gpubox:host.arch: amd64/,
  ],
  [
    "a host that lost a rule",
    "prepared",
    remote({ steps: ["start Docker, now and at boot"] }),
    "The host is not as a prepared one: start Docker, now and at boot.",
    /npm run host prepare -- --stack test/,
  ],
  [
    "a host with a GPU that no driver knows",
    "prepared",
    remote({ state: { ...parseState(""), arch: "amd64", nvidia: true } }),
    "There is an NVIDIA device but no driver.",
    /nvidia-driver/,
  ],
  [
    "an engine that does not answer",
    "docker",
    { docker: { state: "silent", reason: "connection refused" }, host: {} },
    "The Docker engine at unix:///var/run/docker.sock does not answer: connection refused.",
    /systemctl start docker/,
  ],
  [
    "no docker command",
    "docker",
    { docker: { state: "no-cli" }, host: {} },
    /no `docker` command/,
    /npm run up/,
  ],
  [
    "a user without the socket",
    "docker",
    { docker: { state: "denied" }, host: {} },
    /may not use/,
    /usermod/,
  ],
  [
    "a stack that was never up",
    "box",
    { docker: { state: "answers" }, containers: [], networks: [], host: {} },
    "The stack test has no container here.",
    "Run `npm run up -- --stack test`.",
  ],
  [
    "a removed network",
    "network",
    { ...healthy, networks: healthy.networks!.slice(1) },
    "The network gpubox-test-edge is missing.",
    /pulumi up --refresh/,
  ],
  [
    "an edge that was stopped",
    "edge",
    with_("edge", { state: "exited", exitCode: 0 }),
    "The edge was stopped (status 0).",
    up,
  ],
  ["an edge that is gone", "edge", without("edge"), "The edge is not there.", up],
  [
    "a port that somebody else holds",
    "port",
    { ...healthy, ports: [{ ...healthy.ports![0]!, holder: "the process nginx (pid 7)" }] },
    "Port 4000 on 127.0.0.1 is held by the process nginx (pid 7).",
    /set another gpubox:gateway.port/,
  ],
  [
    "an address that the machine does not have",
    "port",
    { ...healthy, ports: [{ ...healthy.ports![0]!, bind: "100.64.0.7", holder: "no address" }] },
    "This machine has no address 100.64.0.7 to open port 4000 on.",
    /gpubox:gateway.bind/,
  ],
  [
    "a gateway that ended with an error",
    "gateway",
    {
      ...with_("gateway", { state: "exited", exitCode: 1, lastWords: "bad config" }),
      edge: { generation: box.gateway.generation, gateways: [] },
    },
    "The gateway ended with status 1: bad config.",
    up,
  ],
  [
    "a gateway that starts",
    "gateway",
    { ...with_("gateway", { health: "starting" }), edge: undefined },
    "The gateway is starting.",
    /7 to 15 s/,
  ],
  [
    "a server that was killed for its memory",
    "model",
    with_("backend-tiny", { state: "exited", exitCode: 137, oomKilled: true }),
    "Model tiny: its server was killed: it needed more memory than its limit.",
    "Raise gpubox:models.tiny.memoryMiB (now 1024 MiB), then `npm run up -- --stack test`.",
  ],
  [
    "a server that ends again and again",
    "model",
    with_("backend-tiny", {
      state: "restarting",
      exitCode: 1,
      restarts: 3,
      lastWords: "invalid argument: --x",
    }),
    "Model tiny: its server ends again and again, 3 times so far: invalid argument: --x.",
    /npm run logs tiny -- --stack test/,
  ],
  [
    "a server that is paused",
    "model",
    with_("backend-tiny", { state: "paused" }),
    /is paused/,
    /docker unpause/,
  ],
  [
    "a server that loads",
    "model",
    with_("backend-tiny", { health: "starting" }),
    /is loading/,
    /^Wait; it gets/,
  ],
  [
    "a server that does not answer",
    "model",
    with_("backend-tiny", { health: "unhealthy" }),
    "Model tiny: its server runs and does not answer.",
    /docker restart gpubox-test-backend-tiny/,
  ],
  [
    "a server that was never started for want of a mount",
    "model",
    with_("backend-tiny", { state: "created", error: "bind source path does not exist" }),
    "Model tiny: its server did not start: bind source path does not exist.",
    up,
  ],
  [
    "a server of a person's that failed",
    "model",
    with_("backend-giant", { state: "exited", exitCode: 2, lastWords: "no file" }),
    "Model giant: its server ended with status 2: no file.",
    "Run `npm run model start giant -- --stack test`.",
  ],
  [
    "a valve that is down",
    "model",
    with_("valve-tiny", { state: "exited", exitCode: 0 }),
    "Model tiny: the valve before its server was stopped (status 0).",
    up,
  ],
  ["Redis stopped", "redis", with_("cache", { state: "exited" }), "Redis was stopped (status 0).", up],
  [
    "Redis with another password",
    "redis",
    { ...healthy, redis: "WRONGPASS invalid username-password pair" },
    /WRONGPASS/,
    /the same password/,
  ],
  [
    "Postgres stopped",
    "postgres",
    with_("database", { state: "exited", exitCode: 0 }),
    "Postgres was stopped (status 0).",
    up,
  ],
  [
    "Postgres that its guard keeps from starting",
    "postgres",
    with_("database", { state: "restarting", restarts: 2, lastWords: "gpubox: refused: another salt key" }),
    /another salt key/,
    "See docs/data.md, “Guards of the database”.",
  ],
  [
    "Postgres that is not ready",
    "postgres",
    { ...healthy, postgres: "127.0.0.1:5432 - rejecting connections" },
    /rejecting connections/,
    /^Wait/,
  ],
  [
    "a container near its limit",
    "memory",
    with_("gateway", { memoryPercent: 93.4 }),
    "gpubox-test-gateway uses 93 % of its memory limit.",
    /Raise gpubox:gateway.memoryMiB/,
  ],
  [
    "a gateway that does not find a valve",
    "reach",
    { ...healthy, reach: { ...healthy.reach, [valveTiny]: "unknown name" } },
    `Model tiny: the gateway cannot reach ${valveTiny}: nobody knows that name.`,
    /docker network connect --alias valve-tiny gpubox-test-models gpubox-test-valve-tiny/,
  ],
  [
    "a server elsewhere that refuses",
    "reach",
    { ...healthy, reach: { ...healthy.reach, "far:9000": "refused" } },
    "Model far: the gateway cannot reach far:9000: the connection is refused.",
    /gpubox:models.far.baseUrl/,
  ],
  [
    "a valve that does not find its server",
    "reach",
    { ...healthy, valves: { ...healthy.valves, tiny: { status: "DOWN", running: 0, held: 0 } } },
    "Model tiny: its server is well, but its valve cannot reach backend-tiny.",
    /--alias backend-tiny gpubox-test-backends gpubox-test-backend-tiny/,
  ],
  [
    "a changed master key",
    "key",
    { ...healthy, listed: { status: 401 } },
    "The box does not know the master key of the stack config: it was changed since.",
    /npm run up/,
  ],
  [
    "a client's wrong key",
    "key",
    { ...healthy, clientKey: { status: 401 } },
    /the client's key/,
    /masterKey/,
  ],
  [
    "a client's typo",
    "unknown-model",
    { ...healthy, unknownModels: ["tinny"] },
    'A client asks for the model "tinny", which the stack config does not declare.',
    /^Write "tiny"/,
  ],
  [
    "a client's other name",
    "unknown-model",
    { ...healthy, clientModel: "gpt-4o" },
    /"gpt-4o"/,
    /^Write one of far, giant, lent, tiny in/,
  ],
  [
    "a queue",
    "slow",
    { ...healthy, valves: { ...healthy.valves, tiny: { status: "UP", running: 9, held: 0 } } },
    "Requests queue: tiny has 9 and works on 2 at a time.",
    /cache.ttlSeconds.*instance/,
  ],
  [
    "a busy gateway",
    "slow",
    with_("gateway", { cpuPercent: 99 }),
    /one core busy \(99 %\)/,
    /gateway.replicas/,
  ],
  [
    "a change that was not brought up",
    "changed",
    { ...healthy, edge: { ...healthy.edge!, generation: "0000000" } },
    /0000000 serves/,
    /npm run up/,
  ],
  [
    "an old gateway with requests",
    "draining",
    {
      ...healthy,
      edge: {
        ...healthy.edge!,
        gateways: [...healthy.edge!.gateways, { gateway: "old", state: "draining", requests: 1 }],
      },
    },
    "old drains: it has 1 request to finish.",
    /at most 900 s/,
  ],
  [
    "a full disk",
    "disk",
    { ...healthy, host: { ...healthy.host, disks: [{ folders: ["/srv"], freeBytes: 2 * 2 ** 30 }] } },
    "Only 2.0 GiB are free for /srv.",
    /npm run gc/,
  ],
  [
    "a machine out of memory",
    "host-memory",
    { ...healthy, host: { ...healthy.host, memory: { totalBytes: 24e9, availableBytes: 1e9 } } },
    /only 0.9 GiB are available/,
    /npm run model stop/,
  ],
  [
    "a lost GPU",
    "gpu",
    {
      ...healthy,
      host: {
        ...healthy.host,
        gpus: {
          declared: ["0", "1"].map((id) => ({ id, memoryMiB: 24_000 })),
          found: { ids: ["0"], memoryMiB: { "0": 24_564 } },
        },
      },
    },
    "The host has no GPU 1, which Pulumi.test.yaml declares.",
    /xid/,
  ],
  [
    "a GPU that is smaller than declared",
    "gpu",
    {
      ...healthy,
      host: {
        ...healthy.host,
        gpus: {
          // 80 GB by name and slices, whose memory nvidia-smi does not list, are no finding.
          declared: [
            { id: "0", memoryMiB: 81_920 },
            { id: "1", memoryMiB: 81_920 },
            { id: "MIG-a", memoryMiB: 81_920 },
          ],
          found: { ids: ["0", "1", "MIG-a"], memoryMiB: { "0": 81_559, "1": 24_564 } },
        },
      },
    },
    "GPU 1 has 24564 MiB, and Pulumi.test.yaml declares 81920 MiB: models are planned onto memory that is not there.",
    /memoryGiB of that device in gpubox:host.gpus to 23.98/,
  ],
  [
    "a driver that does not answer",
    "gpu",
    {
      ...healthy,
      host: {
        ...healthy.host,
        gpus: { declared: [{ id: "0", memoryMiB: 1 }], found: { failed: "version mismatch" } },
      },
    },
    "The NVIDIA driver does not answer: version mismatch.",
    /reboot/,
  ],
  ...(
    [
      ["wrong-key", 401, /right key/],
      ["admin-route", 404, /base URL/],
      ["host-name", 421, /gateway.hosts/],
      ["odd-path", 400, /without a slash/],
      ["web-page", 403, /gateway.auth/],
      ["slow-client", 408, /network/],
    ] as const
  ).map(
    ([row, status, fix]) =>
      [
        `a ${status} of the edge's own`,
        row,
        { ...healthy, requests: [logged(200, false), logged(status)] },
        `The edge answered 1 request with ${status}, the last for POST /v1/x.`,
        fix,
      ] as [string, string, Facts, string, RegExp],
  ),
  [
    "requests that failed",
    "failed",
    { ...healthy, requests: [logged(200, false), logged(503, false), logged(504)] },
    "2 of the last 3 requests failed (503, 504), the last POST /v1/x.",
    /npm run logs gateway/,
  ],
];

test.each(CASES)("%s is row %s and no other", (_, row, facts, what, fix) => {
  const matching = (text: string | RegExp) => (typeof text === "string" ? text : expect.stringMatching(text));
  expect(findings(facts)).toEqual([[row, matching(what), matching(fix)]]);
});

test("every row has a case", () => {
  const covered = new Set(CASES.map(([, row]) => row));
  expect(rows.map(({ id }) => id).filter((id) => !covered.has(id))).toEqual([]);
});

test("what a person stopped or lent is no finding", () => {
  expect(findings(with_("backend-giant", { state: "exited", exitCode: 143 }))).toEqual([]);
  expect(findings({ ...healthy, reach: { ...healthy.reach, "lent:9000": "refused" } })).toEqual([]);
});

test("answers of a gateway, and what smoke and doctor ask themselves, are no mistakes of clients", () => {
  const probe = { ...logged(401), path: "/v1/models/gpubox-probe" };
  expect(findings({ ...healthy, requests: [logged(400, false), logged(404, false), probe] })).toEqual([]);
});

test("a config with mistakes is a row of its own", () => {
  const verdict: Verdict = configVerdict([{ path: "gpubox:models.m", what: "No.", fix: "Yes." }]);
  expect([verdict.row, verdict.findings]).toEqual([
    "config",
    [{ what: "gpubox:models.m: No.", fix: "Yes." }],
  ]);
});

test("a request of the edge's log is read, and other lines are not", () => {
  const line = (place: string, rest: string) =>
    `192.168.48.1 [21/Nov/2026:13:43:51.021] clients ${place} ${rest}`;
  const served = line("gateways/s1", "0/0/0/319/670 200 2568 ---- 2/2/0/0/0 POST /v1/chat/completions");
  const refused = line("clients/<NOSRV>", "0/-1/-1/-1/0 404 253 LR-- 1/1/0/0/0 GET /key/list");
  expect(parseRequest(served)).toEqual({
    frontend: "clients",
    status: 200,
    byEdge: false,
    method: "POST",
    path: "/v1/chat/completions",
  });
  expect(parseRequest(refused)).toMatchObject({ status: 404, byEdge: true, path: "/key/list" });
  expect(parseRequest("[WARNING] (1) : Server gateways/s1 is DOWN")).toBeUndefined();
});

test("HAProxy's statistics are read by the names of their fields", () => {
  expect(parseStat("# pxname,svname,scur,\nmodel,backend,3,\n\n")).toEqual([
    { pxname: "model", svname: "backend", scur: "3", "": "" },
  ]);
});

test("how many requests a server works on is what its command line says", () => {
  expect(slotsOf(box.backends[0]!)).toBe(2);
});

test("docs/trouble.md holds the table of rows", () => {
  const text = readFileSync(join(defaultProjectDir, "docs/trouble.md"), "utf8");
  // The formatter pads the columns.
  const plain = (table: string) =>
    table
      .split("\n")
      .filter((line) => line.startsWith("|"))
      .map((line) => line.replace(/ +/g, " ").replace(/-{3,}/g, "---"));
  const section = /^## What `npm run doctor` looks for\n([\s\S]*?)^## /m.exec(text)?.[1] ?? "";
  expect(plain(section)).toEqual(plain(rowsMarkdown()));
});

test("what docs/trouble.md lists as the edge's answers to requests has a row each", () => {
  const text = readFileSync(join(defaultProjectDir, "docs/trouble.md"), "utf8");
  const section = /^## Requests\n([\s\S]*?)^## /m.exec(text)?.[1] ?? "";
  const messages = [...section.matchAll(/^\| (\d{3}) `([^`]+)`[^|]*\| edge/gm)].map(([, status, message]) => [
    status!,
    message!,
  ]);
  expect(messages.length).toBeGreaterThan(7);
  const symptoms = rows.map(({ symptom }) => symptom);
  for (const [status, message] of messages) {
    const own = symptoms.includes(`${status} \`${message}\``);
    expect([message, own || Number(status) >= 500]).toEqual([message, true]);
  }
});

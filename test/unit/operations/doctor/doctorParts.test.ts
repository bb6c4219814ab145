import fc from "fast-check";
import { modelServers } from "../../../../configs/plan/box";
import type { ContainerFacts, Facts } from "../../../../operations/doctor/facts";
import { killsOf, type Life, parseKernelLog } from "../../../../operations/doctor/memoryKills";
import { healedIn, parseTop, probeCommand } from "../../../../operations/doctor/probes";
import { findings, healthy, wellContainers } from "../../../support/doctorFacts";
import { observed, online, secrets } from "../../../support/observed";
import { testPlan } from "../../../support/stacks";
import { ACME, PUBLIC } from "../../../support/tlsStacks";

/** A box with every kind of part, and two gateways. */
const plan = testPlan(
  observed({ gateway: { ...PUBLIC, tls: { acme: ACME }, replicas: 2 } }),
  secrets,
  online,
);
const containers = wellContainers(plan);
const gateways = containers.filter(({ role }) => role === "gateway").map(({ name }) => name);
const well: Facts = {
  ...healthy,
  networks: plan.networks.map(({ name }) => name),
  containers,
  reach: {},
  edge: {
    generation: plan.gateway.generation,
    gateways: gateways.map((gateway) => ({ gateway, state: "serving", requests: 0 })),
  },
};

/** The box with one of its containers in another state, or without it. */
function broken(name: string, change: Partial<ContainerFacts> | undefined): Facts {
  const rest = containers.flatMap((one) => {
    if (one.name !== name) return one;
    return change ? { ...one, ...change } : [];
  });
  return { ...well, containers: rest };
}

/** What may happen to a container while Docker's own health check still says that it is well. */
const FAULTS: [string, Partial<ContainerFacts> | undefined, RegExp, RegExp][] = [
  ["paused", { state: "paused", probe: undefined }, /is paused/, /docker unpause gpubox-test-/],
  [
    "stopped by a signal",
    { halted: ["haproxy"], probe: "silent" },
    /has a process that is stopped by a signal \(haproxy\)/,
    /docker restart -t 10 gpubox-test-/,
  ],
  [
    "hanging",
    { probe: "silent" },
    /runs and does not answer within 3 s/,
    /docker restart -t 10 gpubox-test-/,
  ],
  [
    "failing",
    { probe: "fails", lastWords: "connection refused" },
    /runs and does not answer: connection refused/,
    /docker restart -t 10 gpubox-test-/,
  ],
  [
    "killed by hand",
    { state: "exited", exitCode: 137, probe: undefined },
    /was killed by hand \(status 137, and not for its memory\), and Docker leaves it down/,
    /gpubox up --stack test`: it starts what should run/,
  ],
  [
    "killed for its memory",
    { state: "exited", exitCode: 137, oomKilled: true, probe: undefined },
    /was killed: it needed more memory than its limit/,
    /^Raise /,
  ],
  [
    "restarting",
    { state: "restarting", exitCode: 1, restarts: 4, probe: undefined },
    /ends again and again, 4 times so far/,
    /docker restart -t 10 gpubox-test-/,
  ],
  ["gone", undefined, /is not there/, /gpubox up --stack test`: it starts what should run/],
];

/** The row that a part's trouble belongs to. */
const ROWS: Record<string, string> = {
  edge: "edge",
  gateway: "gateway",
  cache: "redis",
  database: "postgres",
};
const models = modelServers(plan).flatMap(({ service, valve }) => [service, valve]);
const rowOf = (role: string) =>
  models.some(({ container }) => container.name === role) ? "model" : (ROWS[role] ?? "auxiliary");

test("the box of these tests has every kind of part", () => {
  expect([...new Set(containers.map(({ role }) => rowOf(role)))].sort()).toEqual(
    ["auxiliary", "edge", "gateway", "model", "postgres", "redis"].sort(),
  );
  expect(findings(well, plan)).toEqual([]);
});

describe.each(containers.map(({ name, role }) => [name, role]))("%s", (name, role) => {
  test.each(FAULTS)("%s is one finding, in its own row", (_, change, what, fix) => {
    expect(findings(broken(name, change), plan)).toEqual([
      [rowOf(role), expect.stringMatching(what), expect.stringMatching(fix)],
    ]);
  });
});

test("of two gateways the one that is away is named, and how many serve", () => {
  const told = findings(broken(gateways[1]!, { state: "paused", probe: undefined }), plan);
  expect(told.map(([, what]) => what)).toEqual([`The gateway ${gateways[1]} is paused; 1 of 2 serve.`]);
});

test("a gateway that drains and hangs is named while requests wait for it", () => {
  const drains = (requests: number): Facts => ({
    ...broken(gateways[1]!, { probe: "silent" }),
    edge: {
      generation: plan.gateway.generation,
      gateways: [
        { gateway: gateways[0]!, state: "serving", requests: 0 },
        { gateway: gateways[1]!, state: "draining", requests },
      ],
    },
  });
  const gatewayRows = (facts: Facts) => findings(facts, plan).filter(([row]) => row === "gateway");
  expect(gatewayRows(drains(2)).map(([, what]) => what)).toEqual([
    `The gateway ${gateways[1]} runs and does not answer within 3 s; 1 of 2 serve.`,
  ]);
  expect(gatewayRows(drains(0))).toEqual([]);
});

test("without the edge's answer, the gateways of the planned generation have to be healthy", () => {
  const old = {
    ...containers[0]!,
    role: "gateway",
    name: "old",
    generation: "0000000",
    state: "exited" as const,
  };
  const facts = broken(gateways[0]!, { state: "paused", probe: undefined });
  const told = findings({ ...facts, containers: [old, ...facts.containers!], edge: undefined }, plan);
  expect(told.filter(([row]) => row === "gateway").map(([, what]) => what)).toEqual([
    `The gateway ${gateways[0]} is paused; 1 of 2 serve.`,
  ]);
});

test("a starting container is not asked yet, and an answering one is healthy whatever Docker remembers", () => {
  const edge = containers.find(({ role }) => role === "edge")!.name;
  expect(findings(broken(edge, { health: "starting", probe: "fails" }), plan)).toEqual([]);
  expect(findings(broken(edge, { health: "unhealthy", probe: "answers" }), plan)).toEqual([]);
});

test("an unanswered request of the doctor says nothing about keys", () => {
  const facts: Facts = { ...well, listed: { failed: "aborted" }, clientKey: undefined };
  expect(findings(facts, plan)).toEqual([]);
});

describe("processes that a signal stopped", () => {
  const states = fc.constantFrom("S", "Ss", "Sl", "R", "D", "Ds", "Z", "I<", "t");
  const stopped = fc.constantFrom("T", "Ts", "Tl", "T<sl");
  const name = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,14}$/);
  test("are found by their state, and no others", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.oneof(states, stopped), name)), (rows) => {
        const lines = rows.map(([state, command], pid) => `${pid + 1}   ${state}   ${command}`);
        const expected = rows.filter(([state]) => state.startsWith("T")).map(([, command]) => command);
        const table = ["PID                 STAT                COMMAND", ...lines, ""].join("\n");
        expect(parseTop(table)).toEqual([...new Set(expected)]);
      }),
    );
  });
});

test("what a health check says of what was healed is counted for a day, by its kind", () => {
  const now = 1_796_000_000;
  const lines = [
    `${now - 86_401} hung: long ago`,
    `${now - 60} hung: no token for 120 s`,
    `${now - 50} resumed: a signal had stopped it`,
    `${now - 10} hung: no answer to its health check for 61 s`,
    "12 hung: no time",
    "ok",
  ];
  expect(healedIn(`${lines.join("\n")}\n`, now)).toEqual([
    {
      what: "hung",
      count: 2,
      lastAt: "2026-11-30 00:53:10 UTC",
      why: "no answer to its health check for 61 s",
    },
    { what: "resumed", count: 1, lastAt: "2026-11-30 00:52:30 UTC", why: "a signal had stopped it" },
  ]);
  expect(healedIn("1\n", now)).toEqual([]);
});

test("a health check runs as Docker runs it", () => {
  expect(probeCommand(["CMD", "curl", "-fsS", "http://x"])).toEqual(["curl", "-fsS", "http://x"]);
  expect(probeCommand(["CMD-SHELL", "a | b"])).toEqual(["sh", "-c", "a | b"]);
  expect(probeCommand(["NONE"])).toBeUndefined();
});

const ID = "0051cb8d1132666f18e3bdda3b97518da33f443d67499f58bfd9f8fdc4c180cd";
const OTHER = "9ee80d2c58154eecd7f9b2fc46cb4b707dd0a2c2b33af33f0a62c8295ad56c2c";

describe("the kernel's log", () => {
  const kill = (cause: string, group: string) =>
    `[  645.197410] oom-kill:constraint=${cause},nodemask=(null),cpuset=${ID},mems_allowed=0,oom_memcg=/docker/${ID},task_memcg=${group},task=perl,pid=7128,uid=99`;
  const read = (...lines: string[]) => parseKernelLog(["1795904222", "649.18 352.25", ...lines].join("\n"));

  test("names the container, whatever manages its control groups, and whose memory ran out", () => {
    const at = expect.closeTo(1795904218.02, 1);
    expect(
      read(
        "[  645.190000] perl invoked oom-killer: gfp_mask=0xcc0",
        kill("CONSTRAINT_MEMCG", `/docker/${ID}`),
        kill("CONSTRAINT_MEMCG", `/system.slice/docker-${ID}.scope`),
        kill("CONSTRAINT_NONE", `/docker/${OTHER}`),
        kill("CONSTRAINT_NONE", "/user.slice"),
      ),
    ).toEqual([
      { id: ID, at, limit: "own" },
      { id: ID, at, limit: "own" },
      { id: OTHER, at, limit: "host" },
    ]);
  });

  test("never makes the doctor fail, whatever it contains", () => {
    fc.assert(fc.property(fc.string(), (text) => expect(parseKernelLog(text)).toEqual([])));
    fc.assert(
      fc.property(fc.array(fc.string()), (lines) =>
        expect(read(...lines.map((line) => line.replace(/oom-kill/g, "")))).toEqual([]),
      ),
    );
  });
});

describe("a kill for lack of memory", () => {
  const NOW = 1_800_000_000;
  const life = (change: Partial<Life>): Life => ({
    ...{ id: ID, startedAt: NOW - 100, endedAt: NOW - 101, restarts: 1, oomKilled: false },
    ...change,
  });
  const kill = (ago: number, id = ID) => ({ id, at: NOW - ago, limit: "own" as const });
  const count = (one: Life, ...kills: ReturnType<typeof kill>[]) => killsOf(one, kills, NOW)?.count;

  test.each<[string, number | undefined, Life, number[]]>([
    ["that Docker healed counts", 2, life({}), [102, 5000]],
    ["of more than a day ago does not", undefined, life({}), [90_000]],
    ["in the present run counts, without any restart", 1, life({ restarts: 0 }), [50]],
    ["before a start by hand is over", undefined, life({ restarts: 0 }), [150]],
    ["that only Docker's mark tells of counts once", 1, life({ oomKilled: true }), []],
    ["whose mark is of long ago does not", undefined, life({ oomKilled: true, endedAt: NOW - 90_000 }), []],
    ["that nobody tells of is none", undefined, life({}), []],
  ])("%s", (_, expected, one, agos) => {
    expect(count(one, ...agos.map((ago) => kill(ago)))).toBe(expected);
  });

  test("of another container does not count", () => {
    expect(count(life({}), kill(102, OTHER))).toBeUndefined();
  });
});

import { run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { allowance } from "../support/allowance";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { until, Ward } from "./operations/lab";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("faults");

/** Milliseconds after a fault until the doctor has named it. */
const NAMED_MS = 10_000;

const now = () => new Date().toISOString();

/** Role of a part to the row and the words that name it. */
const PARTS: Record<string, string> = {
  gateway: "gateway: The gateway ",
  "backend-tiny": "model: Model tiny: its server ",
  "valve-tiny": "model: Model tiny: the valve in front of its server ",
  cache: "redis: Redis ",
  database: "postgres: Postgres ",
  edge: "edge: The edge ",
};

/** Parts that have their faults at the same time: none of them is the way on which the doctor asks another. */
const TOGETHER = [
  ["gateway", "valve-tiny", "database"],
  ["edge", "backend-tiny", "cache"],
];

interface Fault {
  name: string;
  cause: (container: string) => Promise<void>;
  /** What the doctor has to say of it. */
  words: RegExp;
}

/** What is done to a container. */
const FAULTS: Fault[] = [
  {
    name: "paused",
    cause: async (container) => void (await docker("pause", container)),
    words: /is paused/,
  },
  { name: "stopped by SIGSTOP", cause: halt, words: /has a process that is stopped by a signal \(/ },
  {
    name: "killed",
    cause: kill,
    words: /was killed by hand \(status 137, and not for its memory\), and Docker leaves it down/,
  },
];

/** Every part with every fault once, three parts at a time, each of them with another fault. */
const ROUNDS = TOGETHER.flatMap((roles) =>
  FAULTS.map((_, turn) => roles.map((role, index) => ({ role, ...FAULTS[(turn + index) % FAULTS.length]! }))),
);

async function docker(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run("docker", args);
  if (code !== 0) throw new Error(`docker ${args.join(" ")}: ${stderr}`);
  return stdout.trim();
}

const stateOf = (container: string) => docker("inspect", "--format", "{{.State.Status}}", container);

/** Every process of the container, which keeps its sockets open and answers nothing any more. */
async function halt(container: string): Promise<void> {
  await docker("exec", container, "sh", "-c", "kill -STOP -1 || true");
  await docker("kill", "--signal", "STOP", container);
}

async function kill(container: string): Promise<void> {
  await docker("kill", container);
  await until("it is dead", async () => (await stateOf(container)) === "exited");
}

/** Whatever was done to it. */
async function heal(container: string): Promise<void> {
  if ((await stateOf(container)) === "paused") return void (await docker("unpause", container));
  await docker("restart", "--time", "1", container);
}

needs("docker", "pulumi")("the doctor of a box in which something goes wrong", () => {
  let project: TestProject;
  let ward: Ward;
  const gateways = async () => {
    const filters = [`label=gpubox.stack=${STACK}`, "label=gpubox.role=gateway"];
    const words = filters.flatMap((one) => ["--filter", one]);
    return (await docker("ps", "-a", "--format", "{{.Names}}", ...words)).split("\n").sort();
  };
  const containerOf = async (role: string) => (role === "gateway" ? (await gateways())[0]! : ward.name(role));
  const well = (what: string) => until(what, async () => (await ward.findings(now())).length === 0, 120);
  /** What the doctor says, and that it took no longer than it may since the fault. */
  const named = async () => {
    const began = Date.now();
    const found = await ward.findings(now());
    expect(Date.now() - began).toBeLessThan(allowance(NAMED_MS));
    return found;
  };

  beforeAll(async () => {
    project = makeProject(STACK, PORT, {
      gateway: { port: PORT, drainTimeout: 10, replicas: 2 },
      database: { mode: "bundled" },
      cache: { ttlSeconds: 60 },
      models: { tiny: { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1 } },
    });
    const up = await gpubox(project, "up", "--yes");
    expect([up.code, up.code === 0 || up.stderr]).toEqual([0, true]);
    ward = await Ward.open(project);
    await well("the box is well");
  }, 20 * MINUTE);
  afterAll(() => removeProject(project), MINUTE);

  test.each(
    ROUNDS.map(
      (round) => [round.map(({ role, name }) => `the ${role} that is ${name}`).join(", "), round] as const,
    ),
  )(
    "names within ten seconds %s",
    async (_, round) => {
      const faults = await Promise.all(
        round.map(async (fault) => ({ ...fault, container: await containerOf(fault.role) })),
      );
      await Promise.all(faults.map(({ cause, container }) => cause(container)));
      try {
        const found = await named();
        for (const { role, words } of faults)
          expect(found.filter((one) => one.startsWith(PARTS[role]!))).toEqual([expect.stringMatching(words)]);
      } finally {
        await Promise.all(faults.map(({ container }) => heal(container)));
      }
    },
    2 * MINUTE,
  );

  test(
    "names the one of two gateways that is gone, and does it as a command within ten seconds",
    async () => {
      await well("what was done before is over");
      const [first, second] = await gateways();
      await docker("pause", second!);
      const began = Date.now();
      const { code, stdout } = await gpubox(project, "doctor", "--json");
      const took = Date.now() - began;
      await docker("unpause", second!);
      const { rows } = JSON.parse(stdout) as { rows: { row: string; findings: { what: string }[] }[] };
      expect([code, rows.find(({ row }) => row === "gateway")?.findings]).toEqual([
        1,
        [
          {
            what: `The gateway ${second} is paused; 1 of 2 serve.`,
            fix: `Run \`docker unpause ${second}\`.`,
          },
        ],
      ]);
      expect(took).toBeLessThan(allowance(NAMED_MS));

      await docker("rm", "-f", first!);
      expect(await named()).toContainEqual(`gateway: The gateway ${first} is not there; 1 of 2 serve.`);
      const up = await gpubox(project, "up", "--yes");
      expect(up.code).toBe(0);
      await well("its fix brings it back");
    },
    5 * MINUTE,
  );

  test(
    "reports restarts by Docker after a lack of memory and after a killed process, until somebody starts the container again",
    async () => {
      const [valve, server] = [ward.name("valve-tiny"), ward.name("backend-tiny")];
      const restarted = (container: string) =>
        until("Docker started it again", async () =>
          /^[1-9]\d* true$/.test(
            await docker("inspect", "--format", "{{.RestartCount}} {{.State.Running}}", container),
          ),
        );
      await docker("update", "--memory", "64m", "--memory-swap", "64m", valve);
      await Promise.all([
        // What lies in a tmpfs cannot be killed: HAProxy goes.
        run("docker", ["exec", valve, "sh", "-c", "head -c 100M /dev/zero > /tmp/fill"]),
        run("docker", ["exec", server, "sh", "-c", "kill -9 -1"]),
      ]);
      await Promise.all([restarted(valve), restarted(server)]);
      const memory = (await named()).filter((one) => one.startsWith("memory: "));
      expect(memory).toEqual([
        expect.stringMatching(
          new RegExp(
            `^memory: gpubox-${STACK}-valve-tiny reached its memory limit: the kernel killed \\d+ process(es)?, the last at 2\\d{3}-.* UTC; Docker has started it again\\.$`,
          ),
        ),
      ]);
      await docker("update", "--memory", "128m", "--memory-swap", "128m", valve);
      await docker("restart", valve);
      await until("that is all it says", async () => (await ward.findings(now())).length === 1);
      expect(await ward.findings(now())).toEqual([
        expect.stringMatching(
          new RegExp(
            `^restarted: gpubox-${STACK}-backend-tiny ended by itself once, the last time at 2\\d{3}-`,
          ),
        ),
      ]);
    },
    3 * MINUTE,
  );

  test(
    "does not count its own requests",
    async () => {
      const since = now();
      await docker("pause", ...(await gateways()));
      await ward.findings(now());
      await ward.findings(now());
      await docker("unpause", ...(await gateways()));
      await until("the gateways serve", async () => (await ward.ask("/v1/models")) === 200);
      const notes = (await ward.findings(since)).filter((one) => !one.startsWith("restarted: "));
      expect(notes).toEqual([]);
    },
    2 * MINUTE,
  );
});

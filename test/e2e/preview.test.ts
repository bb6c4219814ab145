import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Preview } from "../../operations/preview/types";
import { output } from "../../platform/process";
import { allocate } from "../support/allocate";
import { changed, complete, containersOf, editStack, exportsIn, inShell } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { pause } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("preview");
/** How many times `about` a gap may take where other work has the processors at the same time. */
const SLOWER = 3;
const ANSWER = "pong from the gpubox test model";

type Sections = Record<string, Record<string, unknown>>;

const canned = { engine: "llamacpp", model: "canned", memoryMiB: 1024, threads: 1, parallel: 1 };

needs("docker", "pulumi")("what a preview says is what `up` then does", () => {
  let project: TestProject;
  let exports: string[];
  let key: string;
  let watch: Watch;

  const shell = (command: string) => inShell(project, exports, command);
  const stackFile = () => join(project.dir, `Pulumi.${STACK}.yaml`);
  const models = (config: Sections) => config["gpubox:models"] as Record<string, Record<string, unknown>>;

  beforeAll(async () => {
    project = makeProject(
      STACK,
      PORT,
      {
        gateway: { port: PORT, drainTimeout: 10 },
        database: { mode: "none" },
        models: { steady: canned, tiny: { ...canned, ctxSize: 2048 } },
      },
      { gateway: "stub" },
    );
    const up = await gpubox(project, "up", "--yes");
    expect([up.code, up.stderr]).toEqual([0, ""]);
    exports = exportsIn(up.stdout);
    key = (await shell(`pulumi config get gpubox:masterKey --stack ${STACK}`)).stdout.trim();
    watch = new Watch();
  }, 20 * MINUTE);
  afterAll(() => {
    watch?.close();
    removeProject(project);
  }, MINUTE);

  async function preview(): Promise<Preview> {
    const { code, stdout, stderr } = await gpubox(project, "preview", "--json");
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  }

  /** Asks a model that no change concerns, until told to stop: what it answered beside its one sentence. */
  function asking(): { stop: () => Promise<string[]> } {
    let done = false;
    const failures: string[] = [];
    const run = (async () => {
      while (!done) {
        const answer = await complete(project.endpoint, key, "steady").catch((error: unknown) =>
          String(error),
        );
        if (answer !== ANSWER) failures.push(answer);
        await pause(50, "a client between two requests");
      }
    })();
    return {
      stop: async () => {
        done = true;
        await run;
        return failures;
      },
    };
  }

  /** What `up` did: the containers that are others now, and how long each did not serve. */
  async function up() {
    const before = await containersOf(STACK);
    watch.forget();
    const steady = asking();
    const result = await shell(`pulumi up --yes --skip-preview --stack ${STACK}`);
    const failures = await steady.stop();
    expect([result.code, result.stderr]).toEqual([0, ""]);
    const after = await containersOf(STACK);
    await pause(1000, "`docker events` comes after the command that waited for the same thing");
    return { containers: changed(before, after), failures, gaps: watch.gaps() };
  }

  const named = ({ containers }: Preview, ...actions: string[]) =>
    containers.filter(({ action }) => actions.includes(action)).map(({ container }) => container);

  const edits: [string, (config: Sections) => void, string[]][] = [
    [
      "an alias",
      (config) => {
        models(config).tiny!.aliases = ["small"];
      },
      ["gateway"],
    ],
    [
      "an engine's flag",
      (config) => {
        models(config).tiny!.ctxSize = 4096;
      },
      ["backend-tiny", "gateway"],
    ],
    [
      "a wait at the valve",
      (config) => {
        models(config).tiny!.holdSeconds = 60;
      },
      ["gateway"],
    ],
    [
      "a model that runs elsewhere",
      (config) => {
        models(config).far = {
          engine: "openai",
          baseUrl: "http://host.docker.internal:9/v1",
          start: "manual",
        };
      },
      ["gateway"],
    ],
    [
      "a model with a container",
      (config) => {
        models(config).third = canned;
      },
      ["backend-third", "gateway", "valve-third"],
    ],
    [
      "a model's port of its own",
      (config) => {
        models(config).third!.expose = { port: PORT + 5, key: { secret: "directKey" } };
      },
      ["gateway", "valve-third"],
    ],
    [
      "a model less",
      (config) => {
        delete models(config).third;
      },
      ["backend-third", "gateway", "valve-third"],
    ],
    [
      "a setting of the router",
      (config) => {
        config["gpubox:gateway"]!.routing = { retries: 1 };
      },
      ["gateway"],
    ],
    [
      "memory of a backend and of Redis",
      (config) => {
        models(config).tiny!.memoryMiB = 1100;
        config["gpubox:cache"] = { memoryMiB: 300 };
      },
      ["backend-tiny", "cache", "gateway"],
    ],
    [
      "a port of the edge",
      (config) => {
        config["gpubox:gateway"]!.port = PORT + 2;
      },
      ["edge"],
    ],
    [
      "no Redis",
      (config) => {
        config["gpubox:cache"] = { mode: "none" };
      },
      ["cache", "gateway"],
    ],
  ];

  test("after `up` there is nothing to do", async () => {
    const { containers, models, settings, secrets, base } = await preview();
    expect({ containers, models, settings, secrets }).toEqual({
      containers: [],
      models: [],
      settings: [],
      secrets: [],
    });
    expect(base).toMatch(/^generation [0-9a-f]{12}, which `up` recorded here at /);
  });

  test.each(edits)(
    "%s",
    async (_, edit, expected) => {
      await shell(
        `printf sk-direct-0123456789abcdef | pulumi config set --secret gpubox:directKey --stack ${STACK}`,
      );
      editStack(project, (config) => edit(config as unknown as Sections));
      const said = await preview();
      const did = await up();
      const replaced = named(said, "created", "deleted", "replaced");
      expect(replaced.sort()).toEqual(did.containers);
      expect(did.containers).toEqual(expected);
      // Who did not serve for a while was announced, with a longer time; and nobody else.
      const most = Object.fromEntries(
        said.gaps.map(({ container, mostSeconds }) => [container, mostSeconds]),
      );
      const silent = Object.keys(did.gaps).filter((name) => name !== "gateway");
      expect(silent.filter((name) => !named(said, "deleted").includes(name)).sort()).toEqual(
        Object.keys(most).sort(),
      );
      for (const { container, aboutSeconds, mostSeconds } of said.gaps) {
        const seconds = did.gaps[container]!;
        console.log(
          `${container} did not serve for ${seconds.toFixed(1)} s, about ${aboutSeconds} s were said`,
        );
        expect(seconds).toBeLessThanOrEqual(mostSeconds);
        expect(seconds).toBeLessThanOrEqual(SLOWER * aboutSeconds!);
      }
      const everybody = said.gaps.some(({ models }) => models === "all");
      if (!everybody) expect(did.failures).toEqual([]);
      if (everybody) project.endpoint = `http://127.0.0.1:${PORT + 2}`;
      const again = await preview();
      expect([again.containers, again.models, again.settings]).toEqual([[], [], []]);
    },
    6 * MINUTE,
  );

  test(
    "an unfinished `up` is reported until one finishes",
    async () => {
      const before = readFileSync(stackFile(), "utf8");
      const taken = createServer().listen(PORT + 9, "127.0.0.1");
      await once(taken, "listening");
      editStack(project, (config) => {
        (config as unknown as Sections)["gpubox:gateway"]!.port = PORT + 9;
      });
      const failed = await shell(`pulumi up --yes --skip-preview --stack ${STACK}`);
      taken.close();
      expect(failed.code).not.toBe(0);
      // Back to what is recorded, so that nothing but the mark tells of it.
      writeFileSync(stackFile(), before);
      const said = await preview();
      expect([said.unfinished, said.containers, said.settings]).toEqual([true, [], []]);
      expect((await shell(`pulumi preview --stack ${STACK}`)).stdout).toContain(said.notes[0]);
      const again = await gpubox(project, "up", "--yes");
      expect([again.code, again.stderr]).toEqual([0, ""]);
      expect((await preview()).unfinished).toBeUndefined();
      const idle = await shell(`pulumi preview --expect-no-changes --stack ${STACK}`);
      expect([idle.code, idle.stdout]).toEqual([0, expect.not.stringContaining("did not finish")]);
    },
    6 * MINUTE,
  );

  test(
    "a secret that is set again is announced by name, and its value appears nowhere",
    async () => {
      const value = "sk-another-0123456789abcdefghijkl";
      await shell(`printf ${value} | pulumi config set --secret gpubox:masterKey --stack ${STACK}`);
      const said = await preview();
      expect(said.secrets).toEqual([
        { name: "masterKey", change: "set anew", containers: ["edge", "gateway"] },
      ]);
      expect(JSON.stringify(said)).not.toContain(value);
      key = value;
      watch.forget();
      const before = await containersOf(STACK);
      expect((await shell(`pulumi up --yes --skip-preview --stack ${STACK}`)).code).toBe(0);
      expect(changed(before, await containersOf(STACK))).toEqual(named(said, "replaced"));
      expect(named(said, "reloaded")).toEqual(["edge"]);
    },
    3 * MINUTE,
  );

  test(
    "another version of gpubox shows in what is deployed, although the config is the same",
    async () => {
      const file = "assets/haproxy/health.sh";
      const said = async () => (await preview()).containers.map(({ container }) => container);
      expect(await said()).toEqual([]);
      await output("sh", ["-c", `echo '# another' >> ${file}`], { cwd: project.dir });
      expect(await said()).toEqual(expect.arrayContaining(["valve-tiny", "edge"]));
    },
    2 * MINUTE,
  );

  test(
    "Pulumi's own preview says who waits in the same words",
    async () => {
      editStack(project, (config) => {
        (config as unknown as Sections)["gpubox:gateway"]!.adminPort = PORT + 7;
      });
      const [gap] = (await preview()).gaps;
      expect(gap?.notice).toMatch(/^The edge is replaced: for about 10 s nobody gets in, /);
      expect((await shell(`pulumi preview --stack ${STACK}`)).stdout).toContain(gap?.notice);
    },
    2 * MINUTE,
  );

  test(
    "Pulumi's own preview is added when its state is available",
    async () => {
      const { stdout } = await gpubox(project, "preview", "--engine");
      expect(stdout).toMatch(/\nPulumi's own preview counts: (\d+ \w+(, )?)+\.\n$/);
      const outputs = JSON.parse((await shell(`pulumi stack output --json --stack ${STACK}`)).stdout);
      expect(Object.keys(outputs).sort()).toEqual(
        ["adminEndpoint", "endpoint", "gpus", "models", "notes", "policy", "ports"].sort(),
      );
      const port = Number(new URL(project.endpoint).port);
      expect(outputs.ports).toEqual({ [`127.0.0.1:${port}`]: "edge", [`127.0.0.1:${port + 1}`]: "edge" });
    },
    2 * MINUTE,
  );
});

/** Listens to the engine: when each container of the stack was told to stop, and when the next one was healthy. */
class Watch {
  private lines: string[] = [];
  private readonly child: ChildProcess;

  constructor() {
    const filters = ["kill", "die", "health_status"].flatMap((event) => ["--filter", `event=${event}`]);
    const format = '{{.TimeNano}} {{.Action}} {{index .Actor.Attributes "gpubox.role"}}';
    this.child = spawn("docker", [
      ...["events", ...filters, "--filter", `label=gpubox.stack=${STACK}`],
      ...["--format", format],
    ]);
    let rest = "";
    this.child.stdout?.on("data", (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split("\n");
      rest = parts.pop() ?? "";
      this.lines.push(...parts);
    });
  }

  forget(): void {
    this.lines = [];
  }

  /** Role to the seconds from its stop to its next healthy answer; infinite where none came. Signals for a reload are no stop. */
  gaps(): Record<string, number> {
    const events = this.lines.map((line) => {
      const [nanoseconds, ...words] = line.split(" ");
      const action = words.slice(0, -1).join(" ");
      return { at: Number(nanoseconds) / 1e9, action, role: words.at(-1)! };
    });
    const stopped = events.filter(({ action, role }) => action.startsWith("die") && role !== "undefined");
    return Object.fromEntries(
      stopped.map(({ role, at }) => {
        const begun = events.find((event) => event.role === role && event.action === "kill")?.at ?? at;
        const healthy = events.find(
          (event) => event.role === role && event.at > at && event.action.includes("health_status: healthy"),
        );
        return [role, healthy ? healthy.at - begun : Number.POSITIVE_INFINITY];
      }),
    );
  }

  close(): void {
    this.child.kill();
  }
}

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { readJobKey, stopJob } from "../../operations/jobs";
import { checkLogs } from "../../operations/trajectory/check";
import type { TrajectoryLine } from "../../operations/trajectory/line";
import { linesOf } from "../../operations/trajectory/readLines";
import type { LogReport } from "../../operations/trajectory/reconcile";
import { output, run } from "../../platform/process";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate } from "../support/allocate";
import { runBeside } from "../support/beside";
import { complete, editStack, exportsIn, inShell, modelsAt } from "../support/box";
import { type JobClient, jobFolder, longStream, startTimes, talk } from "../support/jobs";
import { needs } from "../support/needs";
import { gpubox, makeProject, programOf, removeProject, type TestProject } from "../support/project";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("jobs");
const STUB = `gpubox-${STACK}-stub`;
const SERVER = `http://${STUB}:8000/v1`;
const ASK = "nonce=one chunks=2 interval=0 fault=none";
const PONG = "pong from the gpubox test model";

const remote = (port: number, more: Record<string, unknown> = {}) => ({
  upstream: { baseUrl: SERVER, model: "echo", apiKey: "dummy-cf" },
  key: "dummy-key-cf",
  port,
  ...more,
});

needs("docker", "pulumi")("jobs on a box that logs its own gateway too", () => {
  let project: TestProject;
  let boxKey: string;
  let sticky: JobClient;

  const job = (...args: string[]) => gpubox(project, "job", ...args);
  /** Folder of a job that the harness started. */
  const runOf = (name: string) => join(project.dir, "runs", name);
  const client = (folder: string, port: number, model: string): JobClient => ({
    endpoint: `http://127.0.0.1:${port}`,
    key: readJobKey(folder),
    model,
  });
  const remoteClient = () => client(runOf("remote"), PORT + 10, "echo");
  const localClient = () => client(runOf("local"), PORT + 11, "policy");
  const logs = (folder: string) => join(folder, "log");

  /** What `check` says once nothing is in the work. */
  async function checked(folder: string): Promise<LogReport> {
    await until(
      `the log in ${folder} is whole`,
      async () => {
        const { open, missing } = await checkLogs([folder]);
        return open === 0 && !missing.some(({ why }) => why.includes("about to write"));
      },
      { seconds: 600, everyMs: 300 },
    );
    const { stdout } = await gpubox(project, "trajectory", "check", folder, "--json");
    return JSON.parse(stdout) as LogReport;
  }

  /** Says why, and starts nothing. */
  async function isRefused(name: string, what: RegExp, ...args: string[]): Promise<void> {
    const before = await startTimes(STACK);
    const { code, stderr } = await job("start", name, ...args);
    expect([code, stderr]).toEqual([1, expect.stringMatching(what)]);
    expect(await startTimes(STACK)).toEqual(before);
  }

  beforeAll(async () => {
    project = makeProject(STACK, PORT, {
      gateway: { port: PORT, drainTimeout: 30, trajectories: true },
      cache: { mode: "none" },
      database: { mode: "none" },
      models: {
        tiny: { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1 },
        sleeper: { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1, start: "manual" },
        pair: {
          ...{ engine: "openai", model: "echo", start: "manual" },
          instances: [
            { name: "a", baseUrl: SERVER },
            { name: "b", baseUrl: SERVER },
          ],
        },
      },
      jobs: {
        sticky: {
          ...{ upstream: { box: "pair" }, port: PORT + 19, stickyRoutingAliases: ["pair@a", "pair@b"] },
          ...{ configTemplate: "eval.yaml", lifetimeSeconds: 1 },
        },
        remote: remote(PORT + 10),
        local: { upstream: { box: "tiny" }, port: PORT + 11, model: "policy" },
        sleeping: { upstream: { box: "sleeper" }, port: PORT + 12 },
        silent: remote(PORT + 13, { upstream: { baseUrl: "http://nobody:8000/v1", model: "echo" } }),
        unnamed: remote(PORT + 14, { upstream: { baseUrl: SERVER, model: "GLM-5" } }),
        vectors: remote(PORT + 15, { upstream: { baseUrl: SERVER, model: "echo", messages: "native" } }),
      },
    });
    const up = await gpubox(project, "up", "--yes");
    expect(up.stderr).toBe("");
    const get = `pulumi config get gpubox:masterKey --stack ${STACK}`;
    boxKey = (await inShell(project, exportsIn(up.stdout), get)).stdout.trim();
    await runBeside(project, { role: "stub", script: "load/stub.py" });
  }, 15 * MINUTE);
  afterAll(() => removeProject(project));

  test(
    "can be declared in code by harnesses, several runs at once, each in its own folder",
    async () => {
      const code = `
        const { listJobs, startJob } = require("gpubox/jobs");
        const job = { upstream: { baseUrl: "${SERVER}", model: "echo", apiKey: "dummy-cf" }, key: "dummy-key-cf" };
        const options = { stack: "${STACK}", artifacts: "runs" };
        const started = Promise.all([
          startJob({ ...options, job: { ...job, port: ${PORT + 9} }, as: "remote", port: ${PORT + 10} }),
          startJob({ ...options, job: "local" }),
        ]);
        started
          .then(async (runs) => {
            const states = (await listJobs(options)).map(({ job, state }) => job + " " + state);
            console.log(JSON.stringify({ states, ends: runs.map(({ endpoint }) => endpoint) }));
          });`;
      writeFileSync(join(project.dir, "harness.cjs"), code);
      const {
        code: status,
        stdout,
        stderr,
      } = await run(process.execPath, ["harness.cjs"], {
        cwd: project.dir,
        env: project.env,
      });
      expect([status, stderr]).toEqual([0, ""]);
      expect(JSON.parse(stdout)).toEqual({
        states: ["local running", "remote running"],
        ends: [`http://127.0.0.1:${PORT + 10}`, `http://127.0.0.1:${PORT + 11}`],
      });
      expect(readdirSync(join(project.dir, "runs")).sort()).toEqual(["local", "remote"]);
    },
    3 * MINUTE,
  );

  test(
    "each serve one model on both protocols, under a key of their own, on loopback",
    async () => {
      const [far, near] = [remoteClient(), localClient()];
      const [told, pongs] = await Promise.all([talk(far, ASK), talk(near, "ping")]);
      expect(told).toEqual(Array(4).fill("one:0 one:1 "));
      expect(pongs).toEqual(Array(4).fill(PONG));
      expect(await complete(project.endpoint, boxKey, "tiny")).toBe(PONG);
      expect([await modelsAt(far.endpoint, far.key), await modelsAt(near.endpoint, near.key)]).toEqual([
        ["echo"],
        ["policy"],
      ]);
      expect(far.key).toBe("dummy-key-cf");
      // A key of another gateway opens nothing.
      for (const key of [far.key, boxKey])
        expect(await complete(near.endpoint, key, "policy")).toMatch(/^401 /);
      const bound = await output("docker", ["port", `gpubox-${STACK}-job-remote-edge`]);
      expect(await output("docker", ["port", `gpubox-${STACK}-job-remote`])).toBe("");
      expect(bound).toBe(`4000/tcp -> 127.0.0.1:${PORT + 10}`);
    },
    5 * MINUTE,
  );

  test(
    "each have a complete log, without a line of another job or of the box's gateway",
    async () => {
      const models = async (folder: string) => {
        const lines: TrajectoryLine[] = await linesOf([folder], {}, 1000);
        return [...new Set(lines.map((line) => `${line.job} ${line.model}`))];
      };
      for (const [name, model] of [
        ["remote", "echo"],
        ["local", "policy"],
      ] as const) {
        expect(await checked(logs(runOf(name)))).toMatchObject({
          complete: true,
          missing: [],
          uncounted: [],
        });
        expect(await models(logs(runOf(name)))).toContain(`${name} ${model}`);
        expect((await models(logs(runOf(name)))).filter((said) => !said.startsWith(`${name} `))).toEqual([]);
      }
      const own = join(project.dataDir, "trajectories");
      expect(await checked(own)).toMatchObject({ complete: true });
      expect((await models(own)).filter((said) => !/^null (tiny|sleeper|pair)$/.test(said))).toEqual([]);
    },
    2 * MINUTE,
  );

  test("keep their files in a folder that only their owner can read, and no key in Docker", async () => {
    const folder = runOf("local");
    for (const file of readdirSync(folder).filter((name) => !["log", "edge"].includes(name)))
      expect([file, (statSync(join(folder, file)).mode & 0o777).toString(8)]).toEqual([file, "600"]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const seen = await output("docker", ["inspect", `gpubox-${STACK}-job-local`]);
    expect(seen).not.toContain(readJobKey(runOf("local")));
    const config = readFileSync(join(folder, "litellm_config_eval.yaml"), "utf8");
    expect(config).not.toContain(readJobKey(runOf("local")));
    expect(readFileSync(join(folder, "litellm.env"), "utf8")).toContain(
      "LITELLM_STICKY_ROUTING_ALIASES=''\n",
    );
  });

  test("are listed with their state, memory and folders", async () => {
    const listed = JSON.parse((await job("list", "--json")).stdout) as Record<string, unknown>[];
    expect(listed).toEqual([
      expect.objectContaining({ job: "local", state: "running", memoryMiB: expect.any(Number) }),
      expect.objectContaining({ job: "remote", state: "running", memoryMiB: expect.any(Number) }),
    ]);
    const shown = JSON.parse((await job("show", "remote", "--json")).stdout);
    expect(shown.record).toMatchObject({
      endpoint: `http://127.0.0.1:${PORT + 10}`,
      upstream: `echo at ${SERVER}`,
    });
  });

  describe("are refused with the reason, and nothing starts:", () => {
    const refused: [string, string, RegExp, string[]][] = [
      ["a job that runs already", "remote", /^error: The job remote exists already \(running\)\.$/m, []],
      [
        "a name that is no safe path",
        "remote",
        /^error: "\.\.\/x" cannot be a job's name\.$/m,
        ["--as", "../x"],
      ],
      [
        "the port of another job",
        "remote",
        new RegExp(`^error: Port ${PORT + 11} .* held by the container .*job-local-edge\\.$`, "m"),
        [...["--as", "two", "--port", String(PORT + 11)]],
      ],
      [
        "the port of the box",
        "remote",
        new RegExp(
          `^error: The job two cannot be started: job\\.port: Port ${PORT} belongs to gpubox:gateway\\.port\\.$`,
          "m",
        ),
        ["--as", "two", "--port", String(PORT)],
      ],
      [
        "a job that is not declared",
        "remot",
        new RegExp(`^error: Pulumi\\.${STACK}\\.yaml has no job "remot"\\.$`, "m"),
        [],
      ],
      ["an upstream that does not answer", "silent", /cannot serve the job: It does not answer \(/, []],
      [
        "a model that is stopped",
        "sleeping",
        /It does not serve now: Model sleeper is not available: .*gpubox model start sleeper/,
        [],
      ],
      ["a name that the upstream does not serve", "unnamed", /It has no model GLM-5; it lists echo\.$/m, []],
      [
        "a protocol that the upstream cannot serve",
        "vectors",
        /It cannot serve \/v1\/messages, status 404/,
        [],
      ],
      [
        "a template that is not there",
        "sticky",
        /^error: The template .*eval\.yaml .* does not exist\.$/m,
        [],
      ],
    ];
    const answers: Record<string, unknown> = {};
    let before: Record<string, string>;

    beforeAll(async () => {
      before = await startTimes(STACK);
      const left = [...refused];
      const one = async () => {
        for (let next = left.shift(); next; next = left.shift()) {
          const [claim, name, , args] = next;
          const { code, stderr } = await job("start", name, ...args);
          answers[claim] = [code, stderr];
        }
      };
      await Promise.all([one(), one(), one()]);
    }, 5 * MINUTE);

    test.each(refused)("%s", (claim, _, what) => {
      expect(answers[claim]).toEqual([1, expect.stringMatching(what)]);
    });

    test("all of them", async () => {
      expect(await startTimes(STACK)).toEqual(before);
    });
  });

  test(
    "are refused when another program uses the port, or the template is not YAML",
    async () => {
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(PORT + 19, "127.0.0.1", resolve));
      writeFileSync(join(project.dir, "eval.yaml"), "litellm_settings:\n  num_retries: 2\n");
      await isRefused("sticky", new RegExp(`^error: Port ${PORT + 19} on 127\\.0\\.0\\.1 is held by `));
      await new Promise((resolve) => other.close(resolve));
      writeFileSync(join(project.dir, "eval.yaml"), "litellm_settings: [\n");
      const { code, stderr } = await job("start", "sticky");
      expect([code, stderr]).toEqual([1, expect.stringContaining("The template is no valid YAML at line ")]);
    },
    2 * MINUTE,
  );

  test(
    "stay as they are through an `up` that changes models, and still answer",
    async () => {
      const jobsOf = async () =>
        Object.entries(await startTimes(STACK)).filter(([name]) => name.includes("-job-"));
      const before = await jobsOf();
      expect(before.length).toBe(4);
      const [serving] = (
        await output("docker", [
          ...["ps", "--quiet", "--filter", `label=gpubox.stack=${STACK}`],
          ...["--filter", "label=gpubox.role=gateway"],
        ])
      ).split("\n");
      editStack(project, (config) => {
        (config["gpubox:models"] as unknown as Record<string, Record<string, unknown>>).tiny!.aliases = [
          "smallest",
        ];
      });
      const up = await gpubox(project, "up", "--yes");
      expect([up.code, up.stderr]).toEqual([0, ""]);
      // The box did change.
      expect((await run("docker", ["inspect", serving!])).code).not.toBe(0);
      expect(await jobsOf()).toEqual(before);
      expect(await talk(localClient(), "ping")).toEqual(Array(4).fill(PONG));
      expect(await talk(remoteClient(), ASK)).toEqual(Array(4).fill("one:0 one:1 "));
      const drift = await inShell(
        project,
        exportsIn(up.stdout),
        `pulumi preview --stack ${STACK} --expect-no-changes`,
      );
      expect(drift.code).toBe(0);
    },
    10 * MINUTE,
  );

  test(
    "are kept by gc and waited for by down",
    async () => {
      const down = await gpubox(project, "down");
      expect([down.code, down.stderr]).toEqual([
        1,
        expect.stringContaining(`Jobs of the stack ${STACK} still use it: local, remote.`),
      ]);
      const before = await startTimes(STACK);
      const found = JSON.parse((await run(process.execPath, programOf(project, ["gc", "--json"]))).stdout);
      expect(JSON.stringify(found)).not.toContain(recipeReference(project.dir, "gateway"));
      expect(await startTimes(STACK)).toEqual(before);
    },
    2 * MINUTE,
  );

  test(
    "finish a stream when they are stopped, log it, and touch nothing else",
    async () => {
      const { rest } = await longStream(remoteClient(), 8);
      const before = await startTimes(STACK);
      const { code, stderr } = await job("stop", "remote");
      expect([code, stderr]).toEqual([0, ""]);
      const text = await rest;
      expect([text.includes("long:79 "), text.trimEnd().endsWith("data: [DONE]")]).toEqual([true, true]);
      expect(await checked(logs(runOf("remote")))).toMatchObject({ complete: true, missing: [] });
      const lines = await linesOf([logs(runOf("remote"))], {}, 1);
      expect([lines[0]!.outcome, lines[0]!.stream]).toEqual(["ok", true]);
      const {
        [`/gpubox-${STACK}-job-remote`]: gone,
        [`/gpubox-${STACK}-job-remote-edge`]: edge,
        ...others
      } = before;
      expect([gone, edge]).toEqual([expect.any(String), expect.any(String)]);
      expect(await startTimes(STACK)).toEqual(others);
      expect(JSON.parse((await job("show", "remote", "--artifacts", "runs", "--json")).stdout).state).toBe(
        "stopped",
      );
      expect(readdirSync(runOf("remote"))).not.toContain("litellm.env");
    },
    3 * MINUTE,
  );

  test(
    "give their files to a harness that starts LiteLLM itself, in a shell that minds unset variables",
    async () => {
      const before = await startTimes(STACK);
      const { code, stderr } = await job("render", "remote", "--as", "own", "--port", String(PORT + 18));
      expect([code, stderr]).toEqual([0, ""]);
      expect(await startTimes(STACK)).toEqual(before);
      const folder = jobFolder(project, "own");
      const script = `set -eu; set -a; . ${folder}/litellm.env; set +a
        echo "aliases=<$LITELLM_STICKY_ROUTING_ALIASES>"
        exec litellm --config "$LITELLM_CONFIG" --host 0.0.0.0 --port 4111`;
      await output("docker", [
        ...["run", "--detach", "--name", `gpubox-${STACK}-own`, "--network", `gpubox-${STACK}-edge`],
        ...["--label", `gpubox.stack=${STACK}`, "--label", "gpubox.role=own", "--label", "gpubox.keep=test"],
        ...["--publish", `127.0.0.1:${PORT + 18}:4111`, "--user", "65534:65534", "--env", "HOME=/tmp"],
        ...["--env", "LITELLM_LOCAL_MODEL_COST_MAP=True", "--volume", `${folder}:${folder}`],
        ...["--entrypoint", "sh", recipeReference(project.dir, "gateway"), "-c", script],
      ]);
      const own = client(jobFolder(project, "own"), PORT + 18, "echo");
      const listed = () => modelsAt(own.endpoint, own.key).catch(() => [] as string[]);
      await until("it lists its models", async () => (await listed()).length > 0, { seconds: 300 });
      expect(await talk(own, ASK)).toEqual(Array(4).fill("one:0 one:1 "));
      expect(await checked(logs(jobFolder(project, "own")))).toMatchObject({ complete: true });
      expect(await output("docker", ["logs", `gpubox-${STACK}-own`])).toContain("aliases=<>");
      await output("docker", ["rm", "--force", `gpubox-${STACK}-own`]);
      const refused = await job("render", "local", "--as", "own");
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("has a model of this box")]);
    },
    4 * MINUTE,
  );

  test(
    "take a template's settings, which LiteLLM takes too",
    async () => {
      const template = "litellm_settings:\n  num_retries: 2\nmodel_list: []\n";
      writeFileSync(join(project.dir, "eval.yaml"), template);
      const { code, stdout } = await job("start", "sticky");
      expect([code, stdout]).toEqual([0, expect.stringContaining("The template's model_list is left out")]);
      const config = join(jobFolder(project, "sticky"), "litellm_config_eval.yaml");
      expect(readFileSync(config, "utf8")).toContain("num_retries: 2");
      sticky = client(jobFolder(project, "sticky"), PORT + 19, "pair");
      expect(await talk(sticky, ASK)).toEqual(Array(4).fill("one:0 one:1 "));
    },
    3 * MINUTE,
  );

  test(
    "with sticky-routing aliases keep a session on one server, and lead to each by its alias",
    async () => {
      const { endpoint, key } = sticky;
      const asks = async (model: string, session?: string) => {
        for (let turn = 0; turn < 12; turn++) {
          const answer = await fetch(`${endpoint}/v1/chat/completions`, {
            method: "POST",
            headers: {
              ...{ authorization: `Bearer ${key}`, "content-type": "application/json" },
              ...(session ? { "x-litellm-session-id": session } : {}),
            },
            body: JSON.stringify({ model, messages: [{ role: "user", content: ASK }] }),
          });
          expect(answer.status).toBe(200);
        }
      };
      await asks("pair", "one");
      await asks("pair", "two");
      await asks("pair");
      await asks("pair@b");
      await checked(logs(jobFolder(project, "sticky")));
      const lines = await linesOf([logs(jobFolder(project, "sticky"))], {}, 1000);
      const servers = (model: string, session: string | null) => [
        ...new Set(
          lines
            .filter((line) => line.model === model && line.session_id === session)
            .map(({ upstream }) => upstream?.deployment),
        ),
      ];
      // With the four of the test before.
      expect(lines.length).toBe(52);
      expect([servers("pair", "one").length, servers("pair", "two").length]).toEqual([1, 1]);
      expect(servers("pair", null).sort()).toEqual(["pair-a", "pair-b"]);
      expect(servers("pair@b", null)).toEqual(["pair@b"]);
    },
    3 * MINUTE,
  );

  test(
    "end by prune only when their lifetime is over",
    async () => {
      const before = await startTimes(STACK);
      const { stdout } = await job("prune", "--json");
      expect(JSON.parse(stdout)).toEqual({ ended: ["sticky"] });
      const {
        [`/gpubox-${STACK}-job-sticky`]: gone,
        [`/gpubox-${STACK}-job-sticky-edge`]: edge,
        ...others
      } = before;
      expect([gone, edge]).toEqual([expect.any(String), expect.any(String)]);
      expect(await startTimes(STACK)).toEqual(others);
      expect(JSON.parse((await job("prune", "--json")).stdout)).toEqual({ ended: [] });
    },
    3 * MINUTE,
  );

  test(
    "come back unchanged when the host does",
    async () => {
      // What a reboot does to a container: it is killed without being stopped, and Docker starts it again.
      const name = `gpubox-${STACK}-job-local`;
      const pid = await output("docker", ["inspect", "--format", "{{.State.Pid}}", name]);
      process.kill(Number(pid), "SIGKILL");
      const near = localClient();
      const models = await until(
        "it lists models again",
        async () => {
          const found = await modelsAt(near.endpoint, near.key).catch(() => [] as string[]);
          return found.length > 0 && found;
        },
        { seconds: 120, everyMs: 300 },
      );
      expect(models).toEqual(["policy"]);
      expect(await talk(near, "ping")).toEqual(Array(4).fill(PONG));
      expect(await stopJob("local", { stack: STACK, projectDir: project.dir })).toMatchObject({
        job: "local",
      });
      expect(await checked(logs(runOf("local")))).toMatchObject({ complete: true });
    },
    4 * MINUTE,
  );
});

import { spawn } from "node:child_process";
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { output, type RunResult, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { cannedModel } from "../../tools/cannedModel";
import { allocate, scratch } from "../support/allocate";
import { complete, containersOf, editStack, exportsIn, inShell, masterKeyOf } from "../support/box";
import { type HubContainer, startHubContainer } from "../support/hubContainer";
import { commandLines, engineTexts, filesBelow, leaksIn } from "../support/leaks";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("locked");
const TOKEN = "hf_PLANTED-token";
const OLD = "pong from the gpubox test model";
const NEW = "this came from the hub";
const COMMIT = "fedcba98".repeat(5);
// Held at its half, and then a megabyte a second: long enough for lines of progress.
const REPO = "gated-held-slow/model";
const SOURCE = `hf://${REPO}/m.gguf`;
const PADDING = 16_000_000;

type Sections = Record<string, Record<string, Record<string, unknown>>>;

needs("docker", "pulumi")("a locked, gated model of a hub", () => {
  let folder: string;
  let hub: HubContainer;
  let project: TestProject;
  let exports: string[];
  let key: string;
  let size: number;
  /** Everything in which the token could show, by place. */
  const seen: Record<string, string> = { argv: "", inspect: "", logs: "", output: "" };
  /** What a test began and has to end, also when it fails. */
  let ends: (() => void)[] = [];

  const shell = (command: string) => inShell(project, exports, command);
  const backend = async () => (await containersOf(STACK))["backend-m"];
  const said = ({ stdout, stderr }: RunResult) => {
    seen.output += stdout + stderr;
    return stdout + stderr;
  };

  beforeAll(async () => {
    const docker = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
    const images = await buildRecipes(["gateway"], { projectDir: packageDir, docker, log: () => {} });
    folder = scratch(`${STACK}-hub`);
    chmodSync(folder, 0o755);
    const content = join(folder, "content.gguf");
    writeFileSync(content, Buffer.concat([cannedModel({ answer: NEW }), Buffer.alloc(PADDING)]), {
      mode: 0o644,
    });
    size = statSync(content).size;
    hub = await startHubContainer(images.gateway!, content);
    project = makeProject(
      STACK,
      PORT,
      {
        host: { dataDir: `/srv/gpubox-${STACK}`, modelHub: hub.endpoint },
        gateway: { port: PORT, drainTimeout: 10 },
        cache: { mode: "none" },
        database: { mode: "none" },
        models: { m: { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1 } },
      },
      { gateway: "stub" },
    );
    project.env.HF_TOKEN = undefined;
    const up = await gpubox(project, "up", "--yes");
    expect([up.code, up.stderr]).toEqual([0, ""]);
    exports = exportsIn(up.stdout);
    key = await masterKeyOf(project, exports);
    editStack(project, (config) => {
      (config as unknown as Sections)["gpubox:models"]!.m!.model = SOURCE;
    });
  }, 20 * MINUTE);
  afterEach(() => {
    for (const end of ends) end();
    ends = [];
  });
  afterAll(async () => {
    await hub?.remove();
    if (project) removeProject(project);
    if (folder) rmSync(folder, { recursive: true });
  }, MINUTE);

  test(
    "is refused at preview until it is locked, and locked only with a token, which is a secret of the stack",
    async () => {
      const preview = await shell(`pulumi preview --stack ${STACK}`);
      expect(preview.code).not.toBe(0);
      expect(said(preview)).toContain(
        `gpubox:models.m.model: ${SOURCE} is not in models.lock.json. Run \`gpubox models lock\`, and commit the file.`,
      );
      const without = await gpubox(project, "models", "lock");
      expect([without.code, said(without)]).toEqual([
        1,
        expect.stringContaining("does not let anybody read"),
      ]);
      const set = `pulumi config set --secret gpubox:hfToken --stack ${STACK}`;
      expect((await shell(`printf %s ${TOKEN} | ${set}`)).code).toBe(0);
      const lock = await gpubox(project, "models", "lock");
      expect([lock.code, said(lock)]).toEqual([
        0,
        `${SOURCE}: new → ${COMMIT.slice(0, 12)}, llama F32, 0.0 GiB, 32768 tokens\n`,
      ]);
      const locked = JSON.parse(readFileSync(join(project.dir, "models.lock.json"), "utf8"))[SOURCE];
      expect(locked).toMatchObject({ revision: COMMIT, files: [{ path: "m.gguf", bytes: size }] });
    },
    2 * MINUTE,
  );

  test(
    "is downloaded while the old one serves; a killed download fails `up`, and the old one keeps serving",
    async () => {
      const before = await backend();
      const watch = setInterval(() => (seen.argv += commandLines()), 100);
      ends.push(() => clearInterval(watch));
      const up = gpubox(project, "up", "--yes");
      const part = join(project.dataDir, "models/hf", REPO, COMMIT, "m.gguf.part");
      const half = Math.floor(size / 2);
      let ended: RunResult | undefined;
      void up.then((result) => (ended = result));
      await until(
        "half of the file is there",
        () => {
          if (ended) throw new Error(`up ended before the download began: ${said(ended)}`);
          return statSync(part, { throwIfNoEntry: false })?.size === half;
        },
        { seconds: 600 },
      );
      const [id = ""] = (
        await output("docker", ["ps", "-q", "--filter", `label=gpubox.weights=${REPO}`])
      ).split("\n");
      seen.inspect += await output("docker", ["inspect", id]);
      seen.logs += (await run("docker", ["logs", id])).stdout;
      expect(seen.logs).toContain(`${REPO}@${COMMIT.slice(0, 12)}: 1 files, 16.1 MB, 0 B of it here already`);
      expect(await complete(project.endpoint, key, "m")).toBe(OLD);
      await output("docker", ["kill", id]);
      const result = await up;
      expect(result.code).not.toBe(0);
      expect(said(result)).toContain("What served before keeps serving");
      // Pulumi shows a failed step's command: that has to leave room for the reason.
      const shown = /error: exit status 137: running (.*)/.exec(result.stdout)?.[1] ?? "";
      expect([shown.includes(`gpubox.weights=${REPO}`), shown.length < 400]).toEqual([true, true]);
      expect(await backend()).toBe(before);
      expect(await complete(project.endpoint, key, "m")).toBe(OLD);
    },
    10 * MINUTE,
  );

  test(
    "continues where it stopped, shows bytes, speed and time left, and only then replaces the old one",
    async () => {
      const before = await backend();
      // As they come: the engine remembers a few hundred events only, and health checks make many.
      const format = '{{.Actor.ID}} {{index .Actor.Attributes "gpubox.weights"}}';
      const events = spawn("docker", ["events", "--filter", "event=die", "--format", format]);
      ends.push(() => events.kill());
      let dead = "";
      events.stdout.on("data", (chunk: Buffer) => (dead += chunk));
      await hub.release();
      const up = await gpubox(project, "up", "--yes");
      expect([up.code, up.stderr]).toEqual([0, ""]);
      expect(said(up)).toContain("1 files, 16.1 MB, 8.1 MB of it here already");
      expect(up.stdout).toMatch(/m\.gguf [\d.]+ MB of 16\.1 MB · all \d+ % · [\d.]+ MB\/s · ETA 0m\d\ds/);
      expect(up.stdout).toContain(`${REPO}: complete`);
      const downloads = (await hub.requests(REPO)).filter((line) =>
        line.startsWith(`/${REPO}/resolve/${COMMIT}/m.gguf bytes=${Math.floor(size / 2)}-`),
      );
      expect(downloads).toHaveLength(1);
      expect(await complete(project.endpoint, key, "m")).toBe(NEW);
      const died = (which: string) => dead.split("\n").findIndex((line) => line.includes(which));
      expect(died(` ${REPO}`)).toBeGreaterThanOrEqual(0);
      expect(died(before!)).toBeGreaterThan(died(` ${REPO}`));
    },
    10 * MINUTE,
  );

  test(
    "its token appears nowhere: no command line, inspect, log, state, file on the host, preview or output",
    async () => {
      const { inspect, logs } = await engineTexts(STACK);
      const preview = await shell(`pulumi preview --stack ${STACK} --diff --show-sames`);
      const places = {
        ...seen,
        inspect: seen.inspect + inspect,
        logs: seen.logs + logs,
        state: filesBelow(join(project.dir, ".gpubox", "state")),
        history: filesBelow(join(project.dir, ".gpubox", "history")),
        host: filesBelow(project.dataDir),
        preview: preview.stdout + preview.stderr,
        "stack config": readFileSync(join(project.dir, `Pulumi.${STACK}.yaml`), "utf8"),
        "models.lock.json": readFileSync(join(project.dir, "models.lock.json"), "utf8"),
      };
      for (const [place, text] of Object.entries(places)) {
        expect([place, text.length > 100]).toEqual([place, true]);
        expect(leaksIn(place, text, { hfToken: TOKEN })).toEqual([]);
      }
      // It was there to be found: the hub had it with every request.
      expect((await hub.requests(REPO)).at(-1)).toContain(`Bearer ${TOKEN}`);
      // And the step's name was, where the token was not.
      expect(seen.argv).toContain(`gpubox.weights=${REPO}`);
      expect(places.state).toContain("weights-");
    },
    2 * MINUTE,
  );
});

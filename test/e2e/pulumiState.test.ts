import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { VOLUME_KEEPS } from "../../components/Service";
import { UserError } from "../../platform/process";
import { restoreCheckpoint } from "../../platform/pulumi/checkpoint";
import { pulumiEnv } from "../../platform/pulumi/engine";
import { clearDeadLock, readState, removeOrphans, resolvePending } from "../../platform/pulumi/state";
import { orSkip } from "../support/needs";
import { SCRATCH, ScratchProject, withPulumi } from "../support/scratchProject";
import { until } from "../support/wait";

jest.setTimeout(180_000);

const docker = "unix:///var/run/docker.sock";
const engine = spawnSync("docker", ["-H", docker, "info"]).status === 0;
const withDocker = orSkip(withPulumi, engine ? "" : "docker");

const program = `
const command = require("@pulumi/command");
const docker = require("@pulumi/docker");
if (process.env.SLEEP) new command.local.Command("slow", { create: "sleep " + process.env.SLEEP });
if (process.env.VOLUME) {
  const provider = new docker.Provider("host", { host: ${JSON.stringify(docker)} });
  const options = { provider, retainOnDelete: true, ignoreChanges: ${JSON.stringify(VOLUME_KEEPS)} };
  new docker.Volume("volume", { name: process.env.VOLUME }, options);
}
if (process.env.IMAGE) {
  const provider = new docker.Provider("host", { host: ${JSON.stringify(docker)} });
  const label = (label, value) => ({ label, value });
  const labels = [label("gpubox.stack", "${SCRATCH}")];
  new docker.Network("network", { name: "gpubox-${SCRATCH}-known", labels }, { provider });
  new docker.Container("container", { name: "gpubox-${SCRATCH}-known", image: process.env.IMAGE, stopSignal: "SIGKILL",
    labels: [...labels, label("gpubox.role", "edge")], command: ["sleep", "600"], networkMode: "none" }, { provider });
}
`;

let project: ScratchProject;
const state = () => ({ engine: project.engine, stack: project.stack, log: project.log });
beforeEach(() => {
  project = new ScratchProject(program);
});
afterEach(() => project.remove());

withPulumi("a run that was killed", () => {
  let child: ChildProcess;
  let family: number[];
  const lockDir = () => join(project.dir, ".gpubox/state/.pulumi/locks/organization/gpubox", project.stack);
  const pending = async (): Promise<unknown[]> =>
    JSON.parse(await project.pulumi(["stack", "export"])).deployment.pending_operations ?? [];
  const locks = () => readdirSync(lockDir()).filter((file) => file.endsWith(".json"));

  beforeEach(async () => {
    await project.select();
    const args = ["up", "--yes", "--skip-preview", "--non-interactive", "--stack", project.stack];
    const env = { ...process.env, ...pulumiEnv(project.engine), SLEEP: "600" };
    child = spawn("pulumi", args, { cwd: project.dir, env, stdio: "ignore" });
    await until("the create has begun", async () => (await pending()).length > 0, { seconds: 60 });
    family = descendants(child.pid!);
  });
  afterEach(() => {
    for (const pid of [child.pid!, ...family])
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended, as most of them should have.
      }
  });

  test("is refused with its pid while it runs, forgotten once it is dead, and the next `up` converges", async () => {
    await expect(clearDeadLock(state())).rejects.toMatchObject({
      what: expect.stringMatching(
        `^Another run holds the stack "${project.stack}": process ${child.pid} of .+, since .+\\.$`,
      ),
      fix: `Wait until it ends, or stop it with \`kill -INT ${child.pid}\`.`,
    });
    expect(locks()).toHaveLength(1);

    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    await expect(project.up()).rejects.toThrow("locked by 1 lock");

    await clearDeadLock(state());
    expect(locks()).toEqual([]);
    await resolvePending(state());
    expect(await pending()).toEqual([]);
    expect(project.lines).toEqual([
      "  cleared the lock of an earlier run that was killed",
      "  forgot the interrupted create of slow",
    ]);

    await project.up();
    await project.pulumi(["preview", "--expect-no-changes"]);
    await clearDeadLock(state());
    await resolvePending(state());
    expect(project.lines).toHaveLength(2);
  });

  test("on another host is not judged from here", async () => {
    const file = join(lockDir(), "other.json");
    const lock = {
      pid: 1,
      username: "ada",
      hostname: `not-${hostname()}`,
      timestamp: "2026-01-01T00:00:00Z",
    };
    for (const name of locks()) rmSync(join(lockDir(), name));
    writeFileSync(file, JSON.stringify(lock));
    await expect(clearDeadLock(state())).rejects.toThrow(
      new UserError(
        `ada@not-${hostname()} (process 1) holds the stack "${project.stack}" since 2026-01-01T00:00:00Z.`,
        `Wait until it ends. If you are sure that it is gone, type \`pulumi cancel --stack ${project.stack}\`.`,
      ),
    );
    expect(existsSync(file)).toBe(true);
  });
});

withPulumi("a checkpoint that a killed run cut short", () => {
  const file = () => join(project.dir, ".gpubox/state/.pulumi/stacks/gpubox", `${project.stack}.json`);

  test("is replaced by its backup, and the next `up` converges", async () => {
    await project.select();
    await project.up();
    truncateSync(file(), 200);
    truncateSync(`${file()}.attrs`, 0);
    await expect(project.up()).rejects.toThrow("failed to load checkpoint: EOF");
    restoreCheckpoint(state());
    expect(project.lines).toEqual([
      "  restored the state from its backup: an earlier run was killed while it wrote it",
    ]);
    await project.up();
    await project.pulumi(["preview", "--expect-no-changes"]);
    restoreCheckpoint(state());
    expect(project.lines).toHaveLength(1);
  });

  test("is not touched when its backup is cut short as well, and the message names the older copies", async () => {
    await project.select();
    await project.up();
    truncateSync(file(), 0);
    writeFileSync(`${file()}.bak`, "{");
    expect(() => restoreCheckpoint(state())).toThrow(
      new UserError(
        `The state of the stack "${project.stack}" was cut short by a crash, and so was its backup.`,
        `Copy the newest file of ${join(project.dir, ".gpubox/state/.pulumi/backups/gpubox", project.stack)} to ${file()} and run this again.`,
      ),
    );
    expect(readFileSync(file(), "utf8")).toBe("");
  });
});

/** Processes that a process started, and those that they started. */
function descendants(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  const children = readdirSync(tasks).flatMap((task) =>
    readFileSync(join(tasks, task, "children"), "utf8")
      .trim()
      .split(" ")
      .filter(Boolean)
      .map(Number),
  );
  return children.flatMap((child) => [child, ...descendants(child)]);
}

withDocker("what a killed run left on the host", () => {
  const image = `gpubox-test/${SCRATCH}:sleep`;
  const prefix = `gpubox-${SCRATCH}`;
  const label = `gpubox.stack=${SCRATCH}`;
  const cli = (...args: string[]) =>
    execFileSync("docker", ["-H", docker, ...args], { encoding: "utf8" }).trim();
  const labelled = (kind: string, field: string, ...all: string[]) =>
    cli(kind, "ls", ...all, "--filter", `label=${label}`, "--format", `{{.${field}}}`)
      .split("\n")
      .filter(Boolean)
      .sort();
  const start = (name: string, itsLabel: string) => {
    const labels = ["--label", label, "--label", itsLabel];
    const options = ["--network", "none", "--stop-signal", "KILL", "--name", `${prefix}-${name}`];
    cli("run", "--detach", ...options, ...labels, image, "sleep", "600");
  };

  beforeAll(() => {
    // An image of this machine's own `sleep`, so that the test needs no registry.
    const script = `p=$(command -v sleep); tar -ch "$p" $(ldd "$p" | grep -o '/[^ ]*') 2>/dev/null | docker -H ${docker} import - ${image}`;
    execFileSync("sh", ["-c", script]);
  });
  afterAll(() => {
    for (const id of labelled("container", "ID", "--all")) cli("rm", "--force", id);
    for (const id of labelled("network", "ID")) cli("network", "rm", id);
    cli("volume", "rm", "--force", `${prefix}-data`);
    cli("rmi", image);
  });

  test("is removed by its label, except what is known, kept, serving, or data", async () => {
    await project.select();
    await project.up({ IMAGE: image });
    start("orphan", "gpubox.role=cache");
    start("kept", "gpubox.keep=yes");
    start("gateway-1a2b3c4", "gpubox.role=gateway");
    cli("network", "create", "--label", label, `${prefix}-orphan`);
    cli("volume", "create", "--label", label, `${prefix}-data`);

    const { resources } = await readState(state());
    await removeOrphans({ ...state(), docker, prefix, resources });
    expect(project.lines).toEqual([
      `  removed the container ${prefix}-orphan, which the stack's state does not know`,
      `  removed the network ${prefix}-orphan, which the stack's state does not know`,
    ]);
    expect(labelled("container", "Names", "--all")).toEqual([
      `${prefix}-gateway-1a2b3c4`,
      `${prefix}-kept`,
      `${prefix}-known`,
    ]);
    expect(labelled("network", "Name")).toEqual([`${prefix}-known`]);
    expect(labelled("volume", "Name")).toEqual([`${prefix}-data`]);

    await project.pulumi(["preview", "--refresh", "--expect-no-changes"], { IMAGE: image });
    await project.pulumi(["destroy", "--yes", "--skip-preview"]);
  });
});

withDocker("a volume that Compose or a person made", () => {
  const name = `gpubox-${SCRATCH}-kept`;
  const volume = (...words: string[]) => execFileSync("docker", ["-H", docker, "volume", ...words]);
  beforeEach(() => {
    const labels = [
      "--label",
      "com.docker.compose.project=gpubox",
      "--label",
      "com.docker.compose.volume=cache",
    ];
    volume("create", ...labels, "--opt", "type=tmpfs", "--opt", "device=tmpfs", name);
  });
  afterEach(() => volume("rm", name));

  test("is taken as it is, and no later preview shows it", async () => {
    await project.select();
    const env = { VOLUME: name };
    await project.up(env);
    await project.pulumi(["refresh", "--yes"], env);
    const { changeSummary } = JSON.parse(await project.pulumi(["preview", "--json"], env));
    // The stack, the provider and the volume.
    expect(changeSummary).toEqual({ same: 3 });
  });
});

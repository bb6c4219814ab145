import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { allocate, scratch } from "../support/allocate";
import { changed, complete, containersOf, editStack, exportsIn, inShell } from "../support/box";
import { needs } from "../support/needs";
import { processLimits } from "../support/processes";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("full");
/** Less than the box needs, and enough for a file or two: nothing else fails first. */
const LEFT_BYTES = 100 * 1024 ** 2;

needs(
  "docker",
  "pulumi",
  "root",
  "a loop device",
)("a data directory whose disk is full", () => {
  let project: TestProject;
  let folder: string;
  let data: string;
  let exports: string[];
  let key: string;
  let before: Record<string, string>;

  const must = (program: string, ...args: string[]) => {
    const done = spawnSync(program, args, { encoding: "utf8" });
    if (done.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${done.stderr}`);
  };
  const ballast = () => join(data, "ballast");
  const pulumi = (...words: string[]) =>
    inShell(project, exports, ["pulumi", ...words, "--stack", STACK, "--non-interactive"].join(" "));
  const memory = (memoryMiB: number, more: Record<string, unknown> = {}) =>
    editStack(project, (config) =>
      Object.assign(config, {
        "gpubox:gateway": { port: PORT, drainTimeout: 10, hosts: [`h${memoryMiB}.example`] },
        "gpubox:models": { tiny: { engine: "llamacpp", model: "canned", memoryMiB, ...more } },
      }),
    );

  beforeAll(async () => {
    // A file with holes: the disk that it stands for takes no space here.
    folder = scratch("full", "/var/tmp");
    data = join(folder, "data");
    mkdirSync(data);
    must("truncate", "-s", "5G", join(folder, "disk"));
    must("mkfs.ext4", "-q", "-m", "0", join(folder, "disk"));
    must("mount", "-o", "loop", join(folder, "disk"), data);
    project = makeProject(
      STACK,
      PORT,
      {
        host: { dataDir: data },
        gateway: { port: PORT, drainTimeout: 10 },
        cache: { mode: "none" },
        database: { mode: "none" },
      },
      { gateway: "stub" },
    );
    project.dataDir = join(data, "nothing");
    const up = await gpubox(project, "up", "--yes");
    expect(up.code === 0 ? "" : up.stdout + up.stderr).toBe("");
    exports = exportsIn(up.stdout);
    key = (await pulumi("config", "get", "gpubox:masterKey")).stdout.trim();
    before = await containersOf(STACK);
  }, 10 * MINUTE);

  afterAll(() => {
    if (project) removeProject(project);
    spawnSync("umount", [data]);
    rmSync(folder, { recursive: true });
  });

  test("every container of the box has a limit of processes", async () => {
    const limits = await processLimits(STACK);
    expect(Object.keys(limits)).toHaveLength(Object.keys(before).length);
    expect(Object.values(limits).filter((limit) => limit === 0)).toEqual([]);
  });

  test(
    "fails plain `pulumi up` before anything is stopped, and says what to do",
    async () => {
      const { bavail, bsize } = statfsSync(data);
      must("fallocate", "-l", String(bavail * bsize - LEFT_BYTES), ballast());
      memory(2100);
      const up = await pulumi("up", "--yes", "--skip-preview");
      expect(up.code).not.toBe(0);
      expect(up.stdout + up.stderr).toContain(`The disk of ${data} has`);
      expect(up.stdout + up.stderr).toContain("nothing was stopped. Make room there");
      expect(changed(before, await containersOf(STACK))).toEqual([]);
      expect(await complete(project.endpoint, key, "tiny")).not.toMatch(/^\d{3} /);
    },
    5 * MINUTE,
  );

  test(
    "fails `gpubox up` in the same way",
    async () => {
      const up = await gpubox(project, "up", "--yes");
      expect(up.code).toBe(1);
      expect(up.stderr).toContain("The disk has only");
      expect(changed(before, await containersOf(STACK))).toEqual([]);
    },
    5 * MINUTE,
  );

  test(
    "does not matter any more once there is room",
    async () => {
      rmSync(ballast());
      const up = await pulumi("up", "--yes", "--skip-preview");
      expect(up.code === 0 ? "" : up.stdout + up.stderr).toBe("");
      expect(changed(before, await containersOf(STACK))).toEqual(expect.arrayContaining(["backend-tiny"]));
      expect(await complete(project.endpoint, key, "tiny")).not.toMatch(/^\d{3} /);
      const preview = await pulumi("preview", "--refresh", "--expect-no-changes");
      expect(preview.code === 0 ? "" : preview.stdout + preview.stderr).toBe("");
      expect((await gpubox(project, "drift")).code).toBe(0);
    },
    5 * MINUTE,
  );
});

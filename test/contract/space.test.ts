import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { directoryInput, writeDirectory } from "../../configs/kit/hostFiles";
import { directory } from "../../configs/kit/text";
import { planSpace, SPACE_MIB } from "../../configs/plan/space";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { needs } from "../support/needs";
import { testPlan, tinyModel } from "../support/stacks";

const MiB = 1024 ** 2;

needs("docker", "root")("a data directory on a disk of its own", () => {
  let dir: string;
  let image: string;
  const disk = (options: string) => {
    mkdirSync(dir, { recursive: true });
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", dir]).status).toBe(0);
  };
  /** What the step says, of a box that downloads these files. */
  const look = async (...files: { bytes: number; path: string }[]) => {
    const plan = testPlan({ host: { dataDir: dir }, models: tinyModel });
    plan.edge.container.image = image;
    plan.backends[0]!.weights = [{ name: "weights", script: "", fetches: files }];
    const { script, stdin } = planSpace(plan);
    const { code, stderr } = await run("sh", ["-c", script], { stdin: String(stdin![0]) });
    return code === 0 ? "enough" : stderr.trim();
  };
  const refusal = (what: string) =>
    `${what}; nothing was stopped. Make room there (gpubox gc lists model files that no stack uses, docker system df shows what Docker holds) and run the same command again.`;

  beforeAll(async () => {
    const docker = "unix:///var/run/docker.sock";
    image = (await buildRecipes(["edge"], { projectDir: packageDir, docker, log: () => {} })).edge!;
  }, 300_000);
  beforeEach(() => {
    dir = join(mkdtempSync(join(tmpdir(), "gpubox-space-")), "data");
  });
  afterEach(() => {
    spawnSync("umount", [dir]);
    rmSync(join(dir, ".."), { recursive: true });
  });

  test("with space is left unchanged", async () => {
    disk(`size=${SPACE_MIB + 1}m`);
    expect(await look()).toBe("enough");
    expect(readdirSync(dir)).toEqual([]);
  });

  test("with too little is refused, with what is missing and what to do", async () => {
    disk(`size=${SPACE_MIB - 1}m`);
    expect(await look()).toBe(refusal(`The disk of ${dir} has 255 MiB free, and 256 MiB are needed`));
  });

  test("needs room only for model files that are not there yet", async () => {
    disk(`size=${SPACE_MIB + 40}m`);
    const file = (name: string, mib: number) => ({ bytes: mib * MiB, path: join(dir, name) });
    const files = [file("whole", 20), file("half", 20), file("missing", 20)];
    expect(await look(...files)).toBe(refusal(`The disk of ${dir} has 296 MiB free, and 318 MiB are needed`));
    spawnSync("truncate", ["-s", "20M", join(dir, "whole")]);
    spawnSync("truncate", ["-s", "15M", join(dir, "half.part")]);
    expect(await look(...files)).toBe("enough");
  });

  test("without free inodes, or read-only, is refused", async () => {
    disk(`size=${SPACE_MIB + 1}m,nr_inodes=900`);
    expect(await look()).toMatch(`The file system of ${dir} has room for`);
    spawnSync("umount", [dir]);
    disk(`size=${SPACE_MIB + 1}m,ro`);
    expect(await look()).toBe(refusal(`Nothing can be written to ${dir}`));
  });

  test("that fills up while files are written keeps the files that were there, every one", async () => {
    disk("size=1m");
    const files = (text: string, more: string) =>
      directory(
        join(dir, "edge"),
        99,
        { "a.cfg": { text: [text], mode: "0640" }, "z.cfg": { text: [more], mode: "0640" } },
        {},
      );
    const write = (plan: ReturnType<typeof files>) =>
      run("sh", ["-c", writeDirectory(image, dir, plan)], { stdin: directoryInput(plan, {}) });
    expect((await write(files("old", "old"))).code).toBe(0);
    writeFileSync(join(dir, "others"), "x".repeat(900_000));
    expect((await write(files("new", "n".repeat(200_000)))).code).not.toBe(0);
    expect(readdirSync(join(dir, "edge")).sort()).toEqual(["a.cfg", "z.cfg"]);
    expect(readFileSync(join(dir, "edge/a.cfg"), "utf8")).toBe("old");
    rmSync(join(dir, "others"));
    expect((await write(files("new", "new"))).code).toBe(0);
    expect(readFileSync(join(dir, "edge/a.cfg"), "utf8")).toBe("new");
    expect(existsSync(join(dir, "edge/.a.cfg.new"))).toBe(false);
  });
});

import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { misplaced, ownerFile, planOwner } from "../../../../configs/plan/owner";
import { hostSchema } from "../../../../configs/schema/host";
import { connectStack } from "../../../../platform/stack/host";
import { checkPlace } from "../../../../platform/stack/owner";

const owner = { stack: "gpu1", identity: "aa" };
const marker = (stack: string, identity: string) => JSON.stringify({ stack, identity });

let dir = "";
const path = process.env.PATH;

/** A docker that answers each of its commands with what a file of that name holds, and fails without one. */
function dockerSays(answers: Record<string, string>): void {
  for (const [command, text] of Object.entries(answers)) writeFileSync(join(dir, command), text);
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-owner-"));
  const docker = join(dir, "bin/docker");
  mkdirSync(join(dir, "bin"));
  // `run` does on this machine what it is asked to do in a container.
  writeFileSync(
    docker,
    `#!/bin/sh
case "$1" in
  run) while [ "$1" != -c ]; do shift; done; exec sh "$@" ;;
  *) exec cat "${dir}/$3" ;;
esac
`,
  );
  chmodSync(docker, 0o755);
  process.env.PATH = `${join(dir, "bin")}:${path}`;
});

afterEach(() => {
  process.env.PATH = path;
  rmSync(dir, { recursive: true });
});

describe("one stack per directory of a host", () => {
  const own = { owner, dataDir: "/srv/gpubox", host: "ops@gpu1", hostId: "A" };

  test.each([
    ["its own box", { owner: marker("gpu1", "aa"), engineId: "A" }, undefined],
    ["a fresh host", {}, undefined],
    [
      "its own directory, while the box still runs in its old one",
      { owner: marker("gpu1", "aa"), otherDataDir: "/srv/old" },
      undefined,
    ],
    [
      "a marker that nobody understands",
      { owner: "x" },
      "/srv/gpubox/.gpubox-stack on ops@gpu1 says nobody's name",
    ],
    ["another stack's directory", { owner: marker("gpu2", "aa") }, "belongs to the stack gpu2."],
    ["another checkout's", { owner: marker("gpu1", "bb") }, "a stack gpu1 of another checkout"],
    ["another host than the one remembered", { engineId: "B" }, "is on another Docker engine"],
    [
      "a host, where the box runs on this machine",
      { runsHere: true },
      "This stack's box runs on this machine",
    ],
    ["a box of this name elsewhere on the host", { otherDataDir: "/srv/old" }, "with its files in /srv/old"],
  ])("%s", (_, place, what) => {
    const failure = misplaced(place, own);
    if (what === undefined) expect(failure).toBeUndefined();
    else {
      expect(failure?.what).toContain(what);
      expect(failure?.fix).toContain("gpubox up --take-over");
    }
  });

  test("an unreadable directory does not count as free, and taking over does not help", () => {
    expect(misplaced({ unreadable: "Permission denied" }, own)).toEqual({
      what: "Nobody can say whose /srv/gpubox on ops@gpu1 is: Permission denied.",
      fix: "Let the user that gpubox is there look into it: `sudo chmod o+x /srv/gpubox`.",
    });
  });
});

describe("reading the owner of a stack's directory", () => {
  const look = (dataDir: string, hostId?: string) => () =>
    checkPlace({ stack: "gpu1", host: hostSchema.parse({ dataDir }) }, owner, hostId);

  test.each(["opt/edge", "srv/edge/box", "srv/gpubox"])("finds its own box in /%s", (name) => {
    const dataDir = `${dir}/${name}`;
    dockerSays({ inspect: `${dataDir}/edge\n` });
    expect(look(dataDir)).not.toThrow();
    expect(look(`${dir}/other`)).toThrow(`with its files in ${dataDir}.`);
  });

  test("refuses a file that is there and cannot be read", () => {
    mkdirSync(ownerFile(dir));
    expect(look(dir)).toThrow(`Nobody can say whose ${dir} on this machine is`);
  });

  test("asks this machine's engine for its id only if the stack was on a host before", () => {
    dockerSays({ info: "here\n" });
    expect(look(dir)).not.toThrow();
    expect(look(dir, "here")).not.toThrow();
    expect(look(dir, "there")).toThrow(
      "is on another Docker engine than the one that answers at this machine.",
    );
  });
});

describe("a verb on another's box", () => {
  const stack = (more: string) =>
    writeFileSync(
      join(dir, "Pulumi.gpu1.yaml"),
      `config:\n  gpubox:host: { dataDir: ${dir} }\n  gpubox:saltFingerprint: aa\n${more}`,
    );

  test("is refused by the file in its directory, and by the engine recorded in the stack's file", () => {
    stack("");
    writeFileSync(ownerFile(dir), marker("gpu1", "aa"));
    expect(() => connectStack(dir, "gpu1")).not.toThrow();
    writeFileSync(ownerFile(dir), marker("gpu1", "bb"));
    expect(() => connectStack(dir, "gpu1")).toThrow("of another checkout, with another salt key.");
    writeFileSync(ownerFile(dir), marker("gpu1", "aa"));
    stack("  gpubox:hostId: there\n");
    dockerSays({ info: "here\n" });
    expect(() => connectStack(dir, "gpu1")).toThrow("is on another Docker engine");
  });
});

test("a removed box deletes its own file, and leaves the file of whoever took over the directory", () => {
  const { script, remove } = planOwner("tools", dir, owner)!;
  const run = (text: string) =>
    expect(spawnSync("sh", ["-c", text], { env: { ...process.env } }).status).toBe(0);
  run(script);
  expect(readFileSync(ownerFile(dir), "utf8")).toBe(`${marker("gpu1", "aa")}\n`);
  run(planOwner("tools", dir, { stack: "gpu2", identity: "bb" })!.remove);
  expect(existsSync(ownerFile(dir))).toBe(true);
  run(remove);
  expect(existsSync(ownerFile(dir))).toBe(false);
  run(remove);
});

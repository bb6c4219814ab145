import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { GROUND_PROBE, type HostGround, parseGround } from "../../operations/host/ground";
import { parseState, STATE_PROBE } from "../../operations/host/state";
import { testNeeds } from "../support/needs";

/** Folders whose place a made-up host takes. */
const SYSTEM = [
  "/proc/self/mounts",
  "/proc/version",
  "/run/systemd",
  "/sys/",
  "/dev/kfd",
  "/dev/dri",
  "/opt/rocm",
];

/** The shipped script, as it runs on a host that is made of these files and programs. */
function onHost<Read>(
  script: string,
  words: string[],
  parse: (text: string) => Read,
  { files = {}, programs = {} }: { files?: Record<string, string>; programs?: Record<string, string> },
): Read {
  const root = mkdtempSync(join(tmpdir(), "gpubox-ground-"));
  try {
    const put = (path: string, text: string, mode: number) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text, { mode });
    };
    const mounts = { "/proc/self/mounts": "/dev/sda1 /data ext4 rw 0 0\n" };
    for (const [path, text] of Object.entries({ ...mounts, ...files })) put(path, text, 0o644);
    for (const [name, body] of Object.entries(programs))
      put(join("bin", name), `#!/bin/sh\n${body}\n`, 0o755);
    // A device file of the made-up host; the shell's own stay.
    const there = SYSTEM.reduce((text, path) => text.replaceAll(path, join(root, path)), script);
    const moved = words.map((word) => word.replaceAll("ROOT", root));
    const done = spawnSync("sh", ["-c", there, "gpubox", ...moved], {
      encoding: "utf8",
      env: { PATH: `${join(root, "bin")}:/usr/bin:/bin` },
    });
    expect([done.status, done.stderr]).toEqual([0, ""]);
    return JSON.parse(JSON.stringify(parse(done.stdout)).replaceAll(root, "")) as Read;
  } finally {
    rmSync(root, { recursive: true });
  }
}

const DISK = `case "$1" in
-Pi) printf 'Filesystem Inodes IUsed IFree IUse%% Mounted on\\n/dev/sda1 1000 100 900 10%% /data\\n' ;;
*) printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/sda1 9000 8000 1000 89%% /data\\n' ;;
esac`;
const NO_DOCKER = { docker: "exit 1", df: DISK };

const ground = (host: Parameters<typeof onHost>[3]): HostGround =>
  onHost(GROUND_PROBE, ["/data/gpubox", "/run/docker.sock", ""], (text) => parseGround(text), {
    ...host,
    programs: { ...NO_DOCKER, ...host.programs },
  });

describe("what a host says it is made of", () => {
  test("is little where it has little", () => {
    expect(ground({})).toEqual({
      systemd: false,
      wsl: false,
      aheadSeconds: 0,
      readOnly: undefined,
      selinuxType: undefined,
      space: [
        { folder: "/var/lib/docker", freeBytes: 1_024_000, freeFiles: 900 },
        { folder: "/data/gpubox", freeBytes: 1_024_000, freeFiles: 900 },
      ],
      devices: { files: [], gfx: [], amdgpu: undefined, rocm: undefined },
    });
  });

  test("has a read-only mount below which the data directory would be, and the last mount at a place counts", () => {
    const mounts = (last: string) =>
      `/dev/sda1 /data ext4 rw,relatime 0 0\n/dev/sdb1 /data ext4 ${last} 0 0\n`;
    expect(ground({ files: { "/proc/self/mounts": mounts("ro,relatime") } }).readOnly).toBe("/data");
    expect(
      ground({ files: { "/proc/self/mounts": mounts("rw,errors=remount-ro") } }).readOnly,
    ).toBeUndefined();
  });

  test("has no limit of files on a file system that makes them as it wants", () => {
    const df = DISK.replace("1000 100 900 10%%", "0 0 0 -");
    expect(ground({ programs: { df } }).space[0]).toEqual({
      folder: "/var/lib/docker",
      freeBytes: 1_024_000,
    });
  });

  test("has SELinux's label only where SELinux enforces", () => {
    const stat = { stat: "echo system_u:object_r:var_t:s0" };
    const enforce = (text: string) => ({ "/sys/fs/selinux/enforce": text });
    expect(ground({ programs: stat, files: enforce("1") }).selinuxType).toBe("var_t");
    expect(ground({ programs: stat, files: enforce("0") }).selinuxType).toBeUndefined();
  });

  test("has an engine with its kind, and space where that keeps its images", () => {
    const info = {
      ...{ ServerVersion: "28.1.0", Driver: "overlay2", DockerRootDir: "/big/docker", MemTotal: 1, NCPU: 2 },
      ...{ Architecture: "aarch64", SecurityOptions: ["name=apparmor", "name=rootless"] },
    };
    const docker = `[ "$*" = '-H unix:///run/docker.sock info --format {{json .}}' ] && echo '${JSON.stringify(info)}'`;
    const { engine, space } = ground({ programs: { docker } });
    expect(engine).toMatchObject({
      processor: "aarch64",
      securityOptions: ["name=apparmor", "name=rootless"],
    });
    expect(space.map(({ folder }) => folder)).toEqual(["/big/docker", "/data/gpubox"]);
  });

  test("has AMD's device files with their groups, unless everybody may open them", () => {
    const node = "/sys/class/kfd/kfd/topology/nodes";
    const stat = `case "$3" in *kfd) echo "666 0 $3" ;; *) echo "660 105 $3" ;; esac`;
    const files = {
      ...{ "/dev/kfd": "", "/dev/dri/renderD128": "", "/dev/dri/renderD129": "" },
      [`${node}/0/properties`]: "simd_count 0\ngfx_target_version 0\n",
      [`${node}/1/properties`]: "simd_count 192\ngfx_target_version 110000\n",
      [`${node}/2/properties`]: "simd_count 304\ngfx_target_version 90010\n",
      "/sys/module/amdgpu/version": "6.10.5\n",
      "/opt/rocm/.info/version": "6.3.1-48\n",
    };
    expect(ground({ files, programs: { stat } }).devices).toEqual({
      files: [
        { path: "/dev/kfd" },
        { path: "/dev/dri/renderD128", group: 105 },
        { path: "/dev/dri/renderD129", group: 105 },
      ],
      gfx: ["gfx1100", "gfx90a"],
      amdgpu: "6.10.5",
      rocm: "6.3.1-48",
    });
  });

  test("has a systemd, or is a Linux of Windows'", () => {
    expect(ground({ files: { "/run/systemd/system/x": "" } }).systemd).toBe(true);
    expect(ground({ files: { "/proc/version": "Linux version 5.15-microsoft-standard-WSL2" } }).wsl).toBe(
      true,
    );
  });

  testNeeds("root", "unshare")("is true of a real file system that is mounted read-only", () => {
    const inside = 'mount -t tmpfs -o ro tmpfs /mnt && exec sh -c "$1" gpubox /mnt/gpubox /none.sock ""';
    const done = spawnSync("unshare", ["-m", "sh", "-c", inside, "gpubox", GROUND_PROBE], {
      encoding: "utf8",
    });
    expect(parseGround(done.stdout).readOnly).toBe("/mnt");
  });
});

test("a clock is compared with this machine's only where it is another's", () => {
  const said = `clock=${Buffer.from("1000000").toString("base64")}\n`;
  expect(parseGround(said, 1_086_400).aheadSeconds).toBe(-86_400);
  expect(parseGround(said).aheadSeconds).toBe(0);
});

describe("what a host says of itself before it is prepared", () => {
  const state = (host: Parameters<typeof onHost>[3]) =>
    onHost(STATE_PROBE, ["/data/gpubox", "", "test"], parseState, {
      ...host,
      programs: { docker: "exit 1", iptables: "exit 1", id: "echo 1000", ...host.programs },
    });

  test.each([
    ["asks for a password", "sudo: a password is required", "a password is required"],
    [
      "wants a terminal",
      "sudo: sorry, you must have a tty to run sudo",
      "sorry, you must have a tty to run sudo",
    ],
    [
      "allows other programs than a shell",
      "Sorry, user ops is not allowed to execute '/usr/bin/sh -c :' as root on gpu1.",
      "Sorry, user ops is not allowed to execute '/usr/bin/sh -c :' as root on gpu1",
    ],
  ])("repeats sudo's words where it %s, and a right to run true alone is none", (_, words, said) => {
    const sudo = `[ "$*" = "-n true" ] && exit 0; echo "${words}" >&2; exit 1`;
    expect(state({ programs: { sudo } })).toMatchObject({ root: "sudo wants a password", sudoSays: said });
  });

  test("has AppArmor without its parser, if the kernel has it switched on", () => {
    const on = (text: string) => ({ "/sys/module/apparmor/parameters/enabled": text });
    const parser = { apparmor_parser: "" };
    expect(state({ files: on("Y\n") }).apparmorParserMissing).toBe(true);
    expect(state({ files: on("Y\n"), programs: parser }).apparmorParserMissing).toBe(false);
    expect(state({ files: on("N\n") }).apparmorParserMissing).toBe(false);
  });
});

import { parseStack } from "../../../../configs/parse";
import { computesByKfd, deviceWords, unfitDevices } from "../../../../operations/host/deviceFiles";
import type { DeviceFiles, HostGround } from "../../../../operations/host/ground";
import { unprepared } from "../../../../operations/host/planHost";
import { unfitForSteps } from "../../../../operations/host/prepare";
import type { HostStep } from "../../../../operations/host/state";
import { noRoom, unfitHost, withoutSystemd, wrongClock } from "../../../../operations/host/unfit";
import { unwritable } from "../../../../operations/up/ground";
import { type DockerEngine, describedEngine } from "../../../../platform/docker/engine";
import { engine, firm, place } from "../../../support/grounds";
import { bare, ids } from "../../../support/hostStates";
import { rawStack } from "../../../support/stacks";

const step = (id: HostStep["id"]): HostStep => ({ id, does: "", script: "" });

describe("a host on which a box cannot stand", () => {
  test.each<[string, Partial<HostGround>, string, string]>([
    [
      "a read-only data directory",
      { readOnly: "/srv" },
      "/srv/gpubox on ops@gpu1 is on a file system that is mounted read-only (/srv).",
      "sudo mount -o remount,rw /srv",
    ],
    [
      "SELinux for containers, and a label that is not theirs",
      { selinuxType: "var_t", engine: { ...engine, securityOptions: ["name=selinux"] } },
      "SELinux on ops@gpu1 keeps containers from /srv/gpubox: its label is var_t.",
      "sudo chcon -Rt container_file_t /srv/gpubox",
    ],
  ])("has %s", (_, change, what, fix) => {
    const [found, ...others] = unfitHost({ ...firm, ...change }, place());
    expect([found?.what, others]).toEqual([what, []]);
    expect(found?.fix).toContain(fix);
  });

  test.each<[string, Partial<DockerEngine>, string, string]>([
    ["Podman, whatever it answers at", { version: "5.4.2" }, "is Podman 5.4.2, not Docker", "podman-docker"],
    [
      "Docker without root",
      { securityOptions: ["name=seccomp,profile=builtin", "name=rootless"] },
      "runs without root",
      "`gpubox host prepare`",
    ],
    [
      "the snap of Docker",
      { dataRoot: "/var/snap/docker/common/var-lib-docker" },
      "is the snap package",
      "sudo snap remove docker",
    ],
    [
      "another processor than its stack's file says",
      { processor: "aarch64" },
      "is arm64, and gpubox:host.arch says amd64",
      "Write gpubox:host.arch: arm64",
    ],
  ])("has %s", (_, change, what, fix) => {
    const [found, ...others] = unfitHost({ ...firm, engine: { ...engine, ...change } }, place());
    expect(others).toEqual([]);
    expect(found?.what).toContain(what);
    expect(found?.fix).toContain(fix);
  });

  test("is none with SELinux that leaves containers alone, with their label, or before there is an engine", () => {
    const selinux = { ...engine, securityOptions: ["name=selinux"] };
    expect(unfitHost(firm, place())).toEqual([]);
    expect(unfitHost({ ...firm, selinuxType: "var_t" }, place())).toEqual([]);
    expect(unfitHost({ ...firm, selinuxType: "container_file_t", engine: selinux }, place())).toEqual([]);
    expect(unfitHost({ ...firm, engine: undefined }, place({ arch: "arm64" }))).toEqual([]);
    expect(unfitHost({ ...firm, engine: { ...engine, processor: "riscv64" } }, place())).toEqual([]);
  });
});

test("Podman 4.3.1 of Debian 12, asked by Docker's command line, is known for what it is", () => {
  const said = {
    ...{ ID: "069c5801-d311-4d75-8755-1da2870579d6", Driver: "vfs", MemTotal: 25276063744, NCPU: 2 },
    ...{ Architecture: "amd64", ServerVersion: "4.3.1", SecurityOptions: ["name=seccomp,profile=default"] },
    ...{
      DockerRootDir: "/var/lib/containers/storage",
      LiveRestoreEnabled: false,
      ProductLicense: "Apache-2.0",
    },
  };
  const podman = describedEngine(JSON.stringify(said))!;
  expect(unfitHost({ ...firm, engine: podman }, place())[0]?.what).toMatch(
    /^The engine of ops@gpu1 is Podman 4\.3\.1,/,
  );
});

describe("a preparation is refused before its first step", () => {
  const full = { ...firm, space: [{ folder: "/var/lib/docker", freeBytes: 5e8 }] };
  const late = { ...firm, aheadSeconds: -86_400 };

  test("where the clock is a day off and something is to be installed", () => {
    expect(unfitForSteps(late, place(), [step("packages")])).toEqual({
      what: "The clock of ops@gpu1 is 24 h behind this machine's: packages, certificates and tokens would be refused.",
      fix: expect.stringContaining("sudo timedatectl set-ntp true"),
    });
    expect(unfitForSteps(late, place(), [step("firewall")])).toBeUndefined();
  });

  test("where the disk is full and a step writes much, or restarts Docker", () => {
    for (const id of ["packages", "nvidia", "daemon"] as const)
      expect(unfitForSteps(full, place(), [step(id)])?.what).toBe(
        "The disk of ops@gpu1 has only 0.5 GiB free for /var/lib/docker.",
      );
    expect(unfitForSteps(full, place(), [step("firewall")])).toBeUndefined();
  });

  test("where a box could not stand on the host, whatever is to be done", () => {
    expect(unfitForSteps({ ...firm, readOnly: "/" }, place(), [])?.what).toContain("mounted read-only (/)");
    expect(unfitForSteps(firm, place(), [step("packages")])).toBeUndefined();
  });
});

test("a clock counts as wrong from an hour on, in either direction", () => {
  const words = (aheadSeconds: number) => wrongClock({ ...firm, aheadSeconds }, "gpu1")?.what;
  expect(words(3599)).toBeUndefined();
  expect(words(3600)).toContain("is 1 h ahead of this machine's");
  expect(words(-30 * 86_400)).toContain("is 30 days behind this machine's");
});

test("a disk without inodes has no room, however many bytes are free", () => {
  const space = [{ folder: "/var/lib/docker", freeBytes: 1e12, freeFiles: 3 }];
  expect(noRoom({ ...firm, space }, "gpu1")?.what).toBe(
    "The disk of gpu1 has only 3 more files free for /var/lib/docker.",
  );
  expect(noRoom(firm, "gpu1")).toBeUndefined();
});

test("a host without systemd is told what will not happen, and how to have it, in WSL too", () => {
  expect(withoutSystemd(firm, "gpu1")).toBeUndefined();
  expect(withoutSystemd({ ...firm, systemd: false }, "gpu1")?.fix).toContain("systemd-sysv");
  expect(withoutSystemd({ ...firm, systemd: false, wsl: true }, "gpu1")?.fix).toContain("/etc/wsl.conf");
});

describe("a right to become root", () => {
  test("that sudo refuses is told in its words, with a file that sudo reads whatever the user is called", () => {
    const state = { ...bare, user: "jo.doe", root: "sudo wants a password" as const };
    const said = { ...state, sudoSays: "sorry, you must have a tty to run sudo" };
    expect(unprepared(said, "gpu1", "box")?.what).toBe(
      "sudo on gpu1 asks jo.doe for a password, or does not allow jo.doe anything (sorry, you must have a tty to run sudo).",
    );
    expect(unprepared(state, "gpu1", "box")?.fix).toContain(
      "`printf 'jo.doe ALL=(ALL) NOPASSWD:ALL\\nDefaults:jo.doe !requiretty\\n' > /etc/sudoers.d/gpubox`",
    );
  });
});

test("AppArmor's parser is installed where Docker cannot do without it", () => {
  const apparmorParserMissing = true;
  expect(ids({ apparmorParserMissing })).toEqual(["apparmor"]);
  expect(ids({ apparmorParserMissing, docker: "26.1.5", dockerInstalled: "26.1.5" })).toEqual([]);
  expect(ids({ apparmorParserMissing }, bare).slice(0, 2)).toEqual(["packages", "apparmor"]);
});

describe("what the first container could not write is told by its reason", () => {
  test.each([
    ["sh: can't create /srv/gpubox/x: Read-only file system", "is read-only for containers", "for writing"],
    ["sh: can't create /srv/gpubox/x: Permission denied", "A container of root's may not write", "-e denied"],
    ["write /var/lib/docker/x: no space left on device", "A disk of gpu1 is full: write /var", "gpubox gc"],
    [
      "AppArmor enabled on system but the docker-default profile could not be loaded",
      "AppArmor on gpu1 keeps Docker from starting containers",
      "sudo apt-get install apparmor",
    ],
    [
      "exec format error",
      "A container could not write to /srv/gpubox on gpu1: exec format error.",
      "there write a file below",
    ],
  ])("%s", (words, what, fix) => {
    const found = unwritable(words, "/srv/gpubox", "gpu1");
    expect(found.what).toContain(what);
    expect(found.fix).toContain(fix);
  });
});

describe("GPUs of AMD and Intel", () => {
  const amd = { gpus: [{ id: 0, memoryGiB: 24, vendor: "amd" }], gpuGroups: [44, 105] };
  const files: DeviceFiles = {
    files: [
      { path: "/dev/kfd", group: 105 },
      { path: "/dev/dri/renderD128", group: 105 },
    ],
    gfx: ["gfx1100"],
  };
  const first = (found: DeviceFiles, host: Record<string, unknown>, kfd = true) =>
    unfitDevices(found, place(host, kfd))[0];

  test("are there where a driver has made their files and the groups are right", () => {
    expect(first(files, amd)).toBeUndefined();
    expect(first({ files: [], gfx: [] }, {})).toBeUndefined();
  });

  test("lack the driver for computing, which a Vulkan server does without", () => {
    const found = { ...files, files: files.files.slice(1) };
    expect(first(found, amd)?.what).toBe(
      "The file declares a GPU of AMD, and ops@gpu1 has no /dev/kfd: its kernel has no driver for one.",
    );
    expect(first(found, amd, false)).toBeUndefined();
    expect(first({ files: [], gfx: [] }, amd, false)?.what).toContain("has no /dev/dri/renderD*");
    const intel = { gpus: [{ id: 0, memoryGiB: 16, vendor: "intel" }], gpuGroups: [105] };
    expect(first({ files: [], gfx: [] }, intel, false)?.fix).toContain("-e i915 -e xe");
  });

  test("are closed to containers by a group that the file does not name, unless everybody may open them", () => {
    expect(first(files, { ...amd, gpuGroups: [44] })).toEqual({
      what: "Containers may not open /dev/kfd and /dev/dri/renderD128 on ops@gpu1, of the group 105: gpubox:host.gpuGroups is [44].",
      fix: "Write gpubox:host.gpuGroups: [105].",
    });
    const open = { ...files, files: files.files.map(({ path }) => ({ path })) };
    expect(first(open, { ...amd, gpuGroups: [44] })).toBeUndefined();
  });

  test("are fewer than the file declares", () => {
    const two = { ...amd, gpus: [0, 1].map((id) => ({ id, memoryGiB: 24, vendor: "amd" })) };
    expect(first(files, two)?.what).toBe(
      "The file declares a GPU 1 of AMD, and the driver of ops@gpu1 knows 1 (gfx1100), counted from 0.",
    );
  });

  test("are described for who writes the stack's file", () => {
    expect(deviceWords({ ...files, amdgpu: "6.10.5", rocm: "6.3.1-48" })).toBe(
      "GPUs of AMD or Intel: /dev/kfd, /dev/dri/renderD128, gpuGroups: [105]. AMD's compute as gfx1100 by AMD's driver 6.10.5. " +
        "ROCm 6.3.1-48 of the host is not used: each image brings its own.",
    );
    expect(deviceWords({ files: [], gfx: [] })).toBeUndefined();
  });

  test("are computed on by ROCm unless every model on them is a Vulkan server", () => {
    const config = (more: Record<string, unknown>) =>
      parseStack(
        rawStack({
          host: amd,
          models: {
            one: { engine: "llamacpp", model: "file:///srv/models/m.gguf", gpu: { devices: [0] }, ...more },
          },
        }),
      );
    expect(computesByKfd(config({}))).toBe(true);
    expect(computesByKfd(config({ variant: "vulkan" }))).toBe(false);
  });
});

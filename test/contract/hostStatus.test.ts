import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { hostLook } from "../../operations/hostStatus/lookAtHost";
import { parseStatus } from "../../operations/hostStatus/statusFacts";
import { packageDir } from "../../platform/project";
import { testSide } from "../support/stacks";

const SCRIPT = readFileSync(join(packageDir, "assets/host/status.sh"), "utf8");
const [ENGINE, GATEWAY, EDGE, VALVE, FOREIGN] = ["a", "b", "c", "d", "e"].map((letter) => letter.repeat(64));
const MIB = 2 ** 20;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-status-"));
  put("root/proc/stat", "cpu 1 2 3\nbtime 1796000000\n");
  put("root/proc/loadavg", "1.50 0.75 0.25 2/345 678\n");
  put(
    "root/proc/meminfo",
    "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
  );
  put("root/etc/os-release", 'NAME=Debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n');
});
afterEach(() => rmSync(dir, { recursive: true }));

function put(path: string, text: string): void {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, path), text);
}

function program(name: string, text: string): void {
  put(`bin/${name}`, `#!/bin/sh\n${text}\n`);
  chmodSync(join(dir, "bin", name), 0o755);
}

function look() {
  const env = { ...process.env, PATH: `${dir}/bin:${process.env.PATH}`, GPUBOX_ROOT: `${dir}/root` };
  const words = ["-c", SCRIPT, "gpubox", "box", `${dir}/not/there/yet`, "unix:///engine.sock"];
  const { stdout, stderr } = spawnSync("sh", words, { encoding: "utf8", env });
  expect(stderr).toBe("");
  return parseStatus(stdout)!;
}

const NVIDIA = `case $1 in
*query-gpu*) echo '0, GPU-aa, NVIDIA RTX 4090, 18432, 24564, 87, 64, 320.50, 450.00'
  echo '1, GPU-bb, NVIDIA GB10, [N/A], [N/A], 3, 41, 12.10, [N/A]' ;;
*) echo 'GPU-aa, 4242, 18000, /opt/engine'; echo 'GPU-aa, 999, 400, python3' ;;
esac`;

/** An engine with four containers, of which three run. */
function engine(): void {
  const one = (id: string, pid: number, state: string, role: string, more: object = {}) => {
    const facts = {
      ...{ id, name: `/gpubox-box-${role}`, role, generation: "", created: "2026-11-28T10:00:00.5Z", state },
      ...{ health: "healthy", exitCode: 0, oomKilled: false, startedAt: "2026-11-28T10:00:01Z" },
      ...{ finishedAt: "0001-01-01T00:00:00Z", restarts: 0, error: "", limitBytes: 2048 * MIB, ...more },
    };
    return `${id} ${pid} ${state} ${role}\n${JSON.stringify(facts)}`;
  };
  const seen = [
    one(ENGINE!, 4242, "running", "backend-tiny"),
    one(GATEWAY!, 0, "exited", "gateway", { generation: "g2", health: null, exitCode: 137 }),
    one(EDGE!, 51, "running", "edge"),
    one(VALVE!, 52, "running", "valve-tiny"),
  ];
  program(
    "docker",
    `[ "$DOCKER_HOST" = unix:///engine.sock ] || exit 9
case "$*" in
info*) echo "26.1.5 ${dir}" ;;
"ps -aq --no-trunc --filter label=gpubox.stack=box") echo ${ENGINE}; echo ${GATEWAY} ;;
inspect*) cat <<'END'
${seen.join("\n")}
END
;;
"exec ${VALVE}"*) printf '%s\n' '# pxname,svname,qcur,qmax,scur,a,b,c,d,e,f,g,h,i,j,k,l,status,' \
  'model,backend,0,0,3,,,,,,,,,,,,,UP,' 'model,waiting,0,0,2,,,,,,,,,,,,,no check,' ;;
"exec ${EDGE}"*) echo '{"generation":"g1"}'; echo 's1 gpubox-box-gateway-g1 serving 4' ;;
*) echo "not asked: $*" >&2; exit 1 ;;
esac`,
  );
  put("root/proc/4242/cgroup", `0::/system.slice/docker-${ENGINE}.scope\n`);
  put("root/proc/999/cgroup", `0::/system.slice/docker-${FOREIGN}.scope\n`);
  const group = `root/sys/fs/cgroup/system.slice/docker-${ENGINE}.scope`;
  put(`${group}/memory.current`, `${1500 * MIB}\n`);
  put(`${group}/memory.stat`, `anon 1\ninactive_file ${500 * MIB}\nactive_file 3\n`);
  put(`${group}/memory.events`, "low 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n");
}

test("one script asks the machine, its GPUs, Docker, valves and the edge", () => {
  engine();
  program("nvidia-smi", NVIDIA);
  const facts = look();
  expect(facts).toMatchObject({
    ...{ bootAt: 1_796_000_000, system: "Debian GNU/Linux 13 (trixie)", load: [1.5, 0.75, 0.25] },
    memory: { totalBytes: 1_024_000, availableBytes: 409_600, swapBytes: 0, swapFreeBytes: 0 },
    docker: { version: "26.1.5" },
    // Both folders are on one file system.
    disks: [{ folders: [`${dir}/not/there/yet`, dir], freeBytes: expect.any(Number) }],
    valves: { "valve-tiny": { status: "UP", running: 3, held: 2 } },
    edge: {
      generation: "g1",
      gateways: [{ gateway: "gpubox-box-gateway-g1", state: "serving", requests: 4 }],
    },
    gpuProcesses: [
      { gpu: "GPU-aa", pid: 4242, name: "/opt/engine", usedMiB: 18_000, container: ENGINE },
      { gpu: "GPU-aa", pid: 999, name: "python3", usedMiB: 400, container: FOREIGN },
    ],
  });
  expect(facts.gpus).toEqual([
    {
      ...{
        vendor: "nvidia",
        index: "0",
        uuid: "GPU-aa",
        name: "NVIDIA RTX 4090",
        busyPercent: 87,
        celsius: 64,
      },
      ...{ memory: { usedBytes: 18_432 * MIB, totalBytes: 24_564 * MIB }, watts: 320.5, wattsLimit: 450 },
    },
    {
      ...{ vendor: "nvidia", index: "1", uuid: "GPU-bb", name: "NVIDIA GB10", busyPercent: 3, celsius: 41 },
      ...{ memory: null, watts: 12.1, wattsLimit: null },
    },
  ]);
  expect(
    facts.containers.map(({ role, state, health, generation }) => [role, state, health, generation]),
  ).toEqual([
    ["backend-tiny", "running", "healthy", undefined],
    ["gateway", "exited", undefined, "g2"],
    ["edge", "running", "healthy", undefined],
    ["valve-tiny", "running", "healthy", undefined],
  ]);
  expect(facts.containers[0]).toMatchObject({
    ...{ name: "gpubox-box-backend-tiny", memoryBytes: 1000 * MIB, limitBytes: 2048 * MIB },
    memoryKills: { count: 2, limit: "own" },
  });
});

test("memory is read from version 1 of control groups too", () => {
  engine();
  put("root/proc/4242/cgroup", `5:memory:/docker/${ENGINE}\n1:name=systemd:/docker/${ENGINE}\n0::/\n`);
  const group = `root/sys/fs/cgroup/memory/docker/${ENGINE}`;
  put(`${group}/memory.usage_in_bytes`, `${900 * MIB}\n`);
  put(`${group}/memory.stat`, `inactive_file 5\ntotal_inactive_file ${100 * MIB}\n`);
  put(`${group}/memory.oom_control`, "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  expect(look().containers[0]).toMatchObject({
    memoryBytes: 800 * MIB,
    memoryKills: { count: 1, limit: "own" },
  });
});

test("AMD's devices are read from their files", () => {
  engine();
  const card = "root/sys/class/drm/card1/device";
  put(`${card}/vendor`, "0x1002\n");
  put(`${card}/unique_id`, "f00d\n");
  put(`${card}/product_name`, "Instinct MI300X, OAM\n");
  put(`${card}/mem_info_vram_used`, `${64 * MIB}\n`);
  put(`${card}/mem_info_vram_total`, `${128 * MIB}\n`);
  put(`${card}/gpu_busy_percent`, "55\n");
  put(`${card}/hwmon/hwmon3/temp1_input`, "48000\n");
  put(`${card}/hwmon/hwmon3/power1_average`, "210500000\n");
  put("root/sys/class/drm/card1-DP-1/device/vendor", "0x1002\n");
  put("root/sys/class/drm/card0/device/vendor", "0x1a03\n");
  expect(look().gpus).toEqual([
    {
      ...{
        vendor: "amd",
        index: "0",
        uuid: "f00d",
        name: "Instinct MI300X OAM",
        busyPercent: 55,
        celsius: 48,
      },
      ...{ memory: { usedBytes: 64 * MIB, totalBytes: 128 * MIB }, watts: 210.5, wattsLimit: null },
    },
  ]);
});

test("a driver and an engine that answer nothing hide nothing else, and say why", () => {
  program("docker", 'echo "Cannot connect to the Docker daemon." >&2; exit 1');
  program("nvidia-smi", 'echo "Unable to determine the device handle: GPU is lost."; exit 15');
  expect(look()).toMatchObject({
    ...{ bootAt: 1_796_000_000, gpus: [], containers: [], edge: undefined },
    docker: { failed: "Cannot connect to the Docker daemon." },
    gpusFailed: "Unable to determine the device handle: GPU is lost.",
    disks: [{ folders: [`${dir}/not/there/yet`] }],
  });
});

test("containers that the engine does not describe are not taken for none", () => {
  engine();
  program("docker", 'case $1 in info) echo "26.1.5 /" ;; ps) echo abc ;; *) exit 1 ;; esac');
  expect(look().docker).toEqual({ failed: "it does not say what its containers are like" });
});

test("an answer that was cut off is none", () => {
  expect(parseStatus("now=MTc5\ndocker=MjYu\n")).toBeUndefined();
});

test("a project that has no assets of its own is looked at with the package's script", () => {
  const { config, plan } = testSide();
  const project = join(dir, "project");
  mkdirSync(project);
  expect(() => hostLook(project, config, plan)).not.toThrow();
});

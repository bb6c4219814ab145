import { mergeDaemonJson } from "../../configs/host/daemonJson";
import { planHost, unprepared } from "../../configs/host/prepare";
import { type HostState, parseState } from "../../configs/host/state";

const bare: HostState = {
  distribution: { family: "debian", name: "Debian GNU/Linux 12 (bookworm)", version: 12 },
  apt: true,
  user: "ops",
  root: "sudo",
  systemd: true,
  dockerCandidate: "20.10.24",
  dockerRuns: false,
  mayUseDocker: false,
  nvidia: false,
  nvidiaToolkit: false,
  nvidiaToolkitCandidate: false,
  nvidiaCdi: false,
  dataDir: false,
  outside: "eth0",
};

const ready: HostState = {
  ...bare,
  docker: "20.10.24",
  dockerRuns: true,
  mayUseDocker: true,
  dataDir: true,
  daemonJson: '{"live-restore": true, "log-opts": {"max-size": "20m", "max-file": "5"}}',
  dockerUser: ["-N DOCKER-USER", "-A DOCKER-USER -i eth0 -m comment --comment gpubox -j DROP"],
};

const plan = (state: Partial<HostState>, from = ready) =>
  planHost({ ...from, ...state }, { dataDir: "/srv/gpubox" });
const ids = (state: Partial<HostState>, from = ready) => plan(state, from).steps.map(({ id }) => id);

describe("what a host needs", () => {
  test("is everything on a bare one, in an order in which each step finds what it needs", () => {
    expect(ids({}, bare)).toEqual(["packages", "daemon", "group", "directory", "firewall"]);
  });

  test("is nothing on one that is prepared", () => {
    expect(plan({})).toEqual({ steps: [], notes: [] });
  });

  test("is a start where Docker only stands still", () => {
    expect(ids({ dockerRuns: false })).toEqual(["start"]);
  });

  test("is the runtime hook below Docker 25, and CDI from there on; the plan says which", () => {
    const gpu = { nvidia: true, nvidiaDriver: "570.86.10", nvidiaToolkitCandidate: true };
    const old = plan(gpu);
    expect(old.steps.map(({ id }) => id)).toEqual(["nvidia", "daemon"]);
    expect(old.notes).toEqual([
      "GPUs reach containers by NVIDIA's runtime hook: Docker 20.10.24 is older than 25 and knows no CDI.",
    ]);
    expect(JSON.parse(old.steps[1]!.stdin!).runtimes).toEqual({
      nvidia: { path: "nvidia-container-runtime", args: [] },
    });
    const middle = plan({ ...gpu, docker: "26.1.5" });
    expect(middle.steps.map(({ id }) => id)).toEqual(["nvidia", "cdi", "daemon"]);
    expect(JSON.parse(middle.steps[2]!.stdin!).features).toEqual({ cdi: true });
    expect(plan({ ...gpu, docker: "28.5.0" }).steps.map(({ id }) => id)).toEqual(["nvidia", "cdi"]);
    expect(ids({ ...gpu, docker: "28.5.0", nvidiaToolkit: true, nvidiaCdi: true })).toEqual([]);
  });

  test("is a driver that a person installs, where an NVIDIA device has none", () => {
    const { steps, notes } = plan({ nvidia: true, docker: "28.5.0", nvidiaToolkit: true });
    expect(steps).toEqual([]);
    expect(notes[1]).toContain("There is an NVIDIA device but no driver");
  });
});

describe("a host that cannot be prepared says what to do", () => {
  test.each([
    [{ root: "no sudo" as const }, "there is no sudo", "Log in as root"],
    [{ root: "sudo wants a password" as const }, "wants a password of ops", "/etc/sudoers.d/ops"],
    [{ apt: false }, "gpubox prepares Debian and Ubuntu", "docs.docker.com"],
    [{ daemonJson: "{" }, "is no JSON object", "Correct or remove it"],
  ])("%j", (state, what, fix) => {
    const failure = unprepared({ ...bare, ...state }, "ops@gpu1", "gpu1");
    expect(failure?.what).toContain(what);
    expect(failure?.fix).toContain(fix);
  });

  test("one that can be prepared says nothing", () => {
    expect(unprepared(bare, "ops@gpu1", "gpu1")).toBeUndefined();
  });
});

describe("a daemon.json", () => {
  test("keeps what a person wrote, also where it differs, and gets what is missing", () => {
    const merged = mergeDaemonJson('{"live-restore": false, "log-opts": {"max-size": "1g"}, "mtu": 1400}', {
      "live-restore": true,
      "log-opts": { "max-size": "20m", "max-file": "5" },
    });
    expect(merged).toEqual({
      text: `${JSON.stringify({ "live-restore": false, "log-opts": { "max-size": "1g", "max-file": "5" }, mtu: 1400 }, null, 2)}\n`,
      added: ["log-opts.max-file"],
      kept: ["live-restore", "log-opts.max-size"],
    });
  });

  test("with another log driver gets no options that this driver may not know: Docker would not start", () => {
    const daemon = plan({ daemonJson: '{"log-driver": "journald"}' }).steps.find(({ id }) => id === "daemon");
    expect(JSON.parse(daemon!.stdin!)).toEqual({ "log-driver": "journald", "live-restore": true });
  });

  test.each(["{", "[]", '"x"'])("that is no object is broken: %s", (text) => {
    expect(mergeDaemonJson(text, {})).toBe("broken");
  });
});

test("a host's answer is read line by line, and what it left out is not there", () => {
  const line = (key: string, value: string) => `${key}=${Buffer.from(value).toString("base64")}`;
  const answer = [
    line("release", 'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04 LTS"'),
    line("user", "ops"),
    line("root", "sudo"),
    line("docker", "Docker version 28.2.2, build x"),
    line("daemonJson", '{\n"mtu": 1400}'),
    line("ntp", "yes"),
  ].join("\n");
  expect(parseState(answer)).toMatchObject({
    distribution: { family: "ubuntu", version: 24.04 },
    root: "sudo",
    docker: "28.2.2",
    daemonJson: '{\n"mtu": 1400}',
    dockerRuns: false,
    ntp: true,
    dockerUser: undefined,
  });
});

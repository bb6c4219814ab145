import { spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mergeDaemonJson } from "../../../../operations/host/daemonJson";
import { FIREWALL_UNIT, firewallRemoval } from "../../../../operations/host/firewall";
import { planHost, unprepared } from "../../../../operations/host/planHost";
import { type HostState, parseState } from "../../../../operations/host/state";

import { BOXES, bare, firewall, ids, plan, ready } from "../../../support/hostStates";

describe("what a host needs", () => {
  test("includes everything on a bare one, in an order in which each step finds what it needs", () => {
    expect(ids({}, bare)).toEqual(["packages", "daemon", "group", "directory", "firewall", "boxes"]);
  });

  test("is nothing on one that is prepared", () => {
    expect(plan({})).toEqual({ steps: [], notes: [] });
  });

  test("is a start when Docker is only stopped", () => {
    expect(ids({ dockerRuns: false })).toEqual(["start"]);
  });

  test("is the runtime hook before Docker 25 and CDI from then on, and the plan says which", () => {
    const gpu = { nvidia: true, nvidiaDriver: "570.86.10", nvidiaToolkitCandidate: true };
    const old = plan(gpu);
    expect(old.steps.map(({ id }) => id)).toEqual(["nvidia", "daemon"]);
    expect(old.notes).toEqual([
      "Containers get GPUs by NVIDIA's runtime hook: Docker 20.10.24 is older than 25 and does not support CDI.",
    ]);
    expect(JSON.parse(old.steps[1]!.stdin!).runtimes).toEqual({
      nvidia: { path: "nvidia-container-runtime", args: [] },
    });
    const middle = plan({ ...gpu, docker: "26.1.5", dockerInstalled: "26.1.5" });
    expect(middle.steps.map(({ id }) => id)).toEqual(["nvidia", "cdi", "daemon"]);
    expect(JSON.parse(middle.steps[2]!.stdin!).features).toEqual({ cdi: true });
    expect(plan({ ...gpu, docker: "28.5.0", dockerInstalled: "28.5.0" }).steps.map(({ id }) => id)).toEqual([
      "nvidia",
      "cdi",
    ]);
    expect(
      ids({ ...gpu, docker: "28.5.0", dockerInstalled: "28.5.0", nvidiaToolkit: true, nvidiaCdi: true }),
    ).toEqual([]);
  });

  test("is a driver that a person installs, where an NVIDIA device has none", () => {
    const { steps, notes } = plan({
      nvidia: true,
      docker: "28.5.0",
      dockerInstalled: "28.5.0",
      nvidiaToolkit: true,
    });
    expect(steps).toEqual([]);
    expect(notes[1]).toContain("There is an NVIDIA device but no driver");
  });
});

describe("what a host needs is not known", () => {
  const fresh = { ...bare, dockerCandidate: undefined, nvidia: true, nvidiaDriver: "570.86.10" };

  test("of its GPUs before apt was updated, so that only Docker comes first and the rest is planned again", () => {
    const { steps, notes, again } = plan({}, fresh);
    expect(steps.map(({ id }) => id)).toEqual(["packages"]);
    expect(notes).toEqual([
      "How containers get GPUs depends on that Docker, so the remaining steps are planned after its installation.",
    ]);
    expect(again).toBe(true);
    const installed = plan(
      { docker: "28.5.0", dockerInstalled: "28.5.0", dockerRuns: true, nvidiaToolkitCandidate: true },
      fresh,
    );
    expect(installed.steps.map(({ id }) => id)).toEqual([
      "nvidia",
      "cdi",
      "daemon",
      "group",
      "directory",
      "firewall",
      "boxes",
    ]);
    expect(installed.notes).toEqual(["Containers get GPUs by CDI, which Docker 28.5.0 supports."]);
    expect(installed.again).toBeUndefined();
    expect(plan({}, bare).again).toBeUndefined();
  });

  test("of what only root may read, once the right to become root is taken back", () => {
    const hidden = { dockerUser: undefined, daemonJson: undefined, daemonJsonHidden: true };
    expect(plan({ ...hidden, root: "sudo wants a password" })).toEqual({
      steps: [],
      notes: [
        "Not checked, because only root may read it: /etc/docker/daemon.json and the firewall rules (DOCKER-USER).",
      ],
    });
    expect(ids({ dockerUser: undefined })).toEqual(["firewall"]);
  });
});

describe("the firewall rules", () => {
  test("need no step when the files and the kernel have them", () => {
    expect(ids({})).toEqual([]);
  });

  test.each<[string, Partial<HostState>]>([
    ["another version of the script", { firewallScript: "#!/bin/bash\n" }],
    ["rules for what the config no longer says", { firewallFile: "outside eth0\nbridge br-gpuboxaaaaaa\n" }],
    ["a network that was made since, without a name of ours", { bridges: ["br-0123456789ab"] }],
    ["the unit of an older gpubox", { firewallUnit: FIREWALL_UNIT.replace("Before=docker.service\n", "") }],
    ["no rule for its own ports", { input: ["-P INPUT ACCEPT"] }],
    ["no rule against neighbours", { dockerUser: ready.dockerUser!.slice(0, 2) }],
    ["no rule against metadata", { dockerUser: ready.dockerUser!.slice(2) }],
  ])("are made anew on a host with %s", (_, state) => {
    expect(ids(state)).toEqual(["firewall"]);
  });

  test("say what they close and what stays open, before anything is done", () => {
    expect(plan({ firewallFile: undefined }).steps[0]!.does).toBe(
      "DOCKER-USER: drop packets that come in through eth0 for a container's own address or for a port published on loopback; " +
        "INPUT: refuse connections of the box's containers to the host, except 11434; " +
        "refuse them the cloud's metadata addresses",
    );
  });

  test("wait for a stack file without mistakes, and say so", () => {
    const unknown = { ...firewall, reach: undefined };
    const { steps, notes } = planHost(
      { ...ready, firewallFile: undefined },
      { dataDir: "/srv", firewall: unknown, boxes: BOXES },
    );
    expect([steps, notes]).toEqual([
      [],
      [
        "The firewall rules are left out: `gpubox plan` finds mistakes, so it is unknown what the box's containers may reach.",
      ],
    ]);
  });

  test("are removed once, and then there is nothing to do", () => {
    expect(firewallRemoval(ready, "test")).toMatchObject({ id: "firewall" });
    expect(
      firewallRemoval({ ...ready, firewallScript: undefined, firewallFile: undefined }, "test"),
    ).toBeUndefined();
  });
});

describe("Docker", () => {
  test("is judged by the engine that runs, and a newer one that is installed is told", () => {
    const gpu = { nvidia: true, nvidiaDriver: "570.86.10", nvidiaToolkit: true };
    const { notes } = plan({ ...gpu, docker: "20.10.24", dockerInstalled: "26.1.5" });
    expect(notes).toEqual([
      "Docker 20.10.24 runs, and 26.1.5 is installed: it takes over when somebody restarts Docker.",
      "Containers get GPUs by NVIDIA's runtime hook: Docker 20.10.24 is older than 25 and does not support CDI.",
    ]);
  });
});

describe("a host that cannot be prepared says what to do", () => {
  test.each([
    [{ root: "no sudo" as const }, "sudo is not installed", "Log in as root"],
    [{ root: "sudo wants a password" as const }, "asks ops for a password", "/etc/sudoers.d/gpubox"],
    [{ apt: false }, "gpubox prepares Debian and Ubuntu", "docs.docker.com"],
    [{ daemonJson: "{" }, "is not a JSON object", "Correct or remove it"],
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
  test("keeps a person's values even where they differ, and gets what is missing", () => {
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

  const daemon = (state: Partial<HostState>) => plan(state).steps.find(({ id }) => id === "daemon");

  test("comes with a warning that containers stop when live-restore stays off", () => {
    expect(daemon({ daemonJson: undefined })?.does).toMatch(/restart Docker; its containers keep running$/);
    expect(daemon({ daemonJson: '{"live-restore": false}' })?.does).toMatch(
      /restart Docker, which stops its containers for that time$/,
    );
  });

  test("of a swarm gets no live-restore, with which Docker would not start", () => {
    const { steps, notes } = plan({ swarm: true, daemonJson: undefined });
    expect(Object.keys(JSON.parse(steps[0]!.stdin!))).toEqual(["log-opts"]);
    expect(notes[0]).toContain("Docker is part of a swarm");
    expect(ids({ swarm: true })).toEqual([]);
  });

  describe("that is changed", () => {
    let dir = "";
    const file = () => join(dir, "etc/daemon.json");
    /** The step with programs that stand for Docker's and systemd's; Docker starts where its file does not say `broken`. */
    const change = (text: string) => {
      const programs = {
        docker: `! grep -q broken ${file()}`,
        journalctl: "echo 'failed to start daemon: it is Tuesday'",
        systemctl: `[ "$1" != restart ] || echo "$(cat ${file()})" >> ${dir}/restarts`,
        sleep: "",
      };
      mkdirSync(join(dir, "bin"), { recursive: true });
      for (const [name, body] of Object.entries(programs))
        writeFileSync(join(dir, "bin", name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
      const { script } = daemon({ daemonJson: undefined })!;
      return spawnSync("sh", ["-c", script.replaceAll("/etc/docker", join(dir, "etc"))], {
        input: text,
        encoding: "utf8",
        env: { PATH: `${join(dir, "bin")}:/usr/bin:/bin:/usr/sbin:/sbin` },
      });
    };
    beforeEach(() => {
      dir = mkdtempSync(join(tmpdir(), "gpubox-daemon-"));
      mkdirSync(join(dir, "etc"));
    });
    afterEach(() => rmSync(dir, { recursive: true }));

    test("keeps its mode, and is 0644 when it is new", () => {
      expect(change("new").status).toBe(0);
      expect(statSync(file()).mode & 0o777).toBe(0o644);
      chmodSync(file(), 0o600);
      expect(change("newer").status).toBe(0);
      expect([readFileSync(file(), "utf8"), statSync(file()).mode & 0o777]).toEqual(["newer", 0o600]);
      expect(readdirSync(join(dir, "etc"))).toEqual(["daemon.json"]);
    });

    test("is not blamed when Docker does not start with the previous one either", () => {
      writeFileSync(file(), "broken before");
      const done = change("broken too");
      expect([done.status, done.stderr]).toEqual([
        1,
        "Docker does not start, with its previous daemon.json either, which is back: failed to start daemon: it is Tuesday\n",
      ]);
      expect(readFileSync(file(), "utf8")).toBe("broken before");
    });

    test("is restored when Docker does not start with it, and Docker starts with the old one", () => {
      writeFileSync(file(), "old", { mode: 0o640 });
      const done = change("broken");
      expect(done.status).toBe(1);
      expect(done.stderr).toBe(
        "Docker does not start with the new daemon.json (failed to start daemon: it is Tuesday); the previous file is back\n",
      );
      expect([readFileSync(file(), "utf8"), statSync(file()).mode & 0o777]).toEqual(["old", 0o640]);
      expect(readFileSync(join(dir, "restarts"), "utf8")).toBe("broken\nold\n");
      rmSync(file());
      expect(change("broken").status).toBe(1);
      expect(readdirSync(join(dir, "etc"))).toEqual([]);
    });
  });

  test("with another log driver gets no options that this driver may not know: Docker would not start", () => {
    const { stdin } = daemon({ daemonJson: '{"log-driver": "journald"}' })!;
    expect(JSON.parse(stdin!)).toEqual({ "log-driver": "journald", "live-restore": true });
  });

  test.each(["{", "[]", '"x"'])("that is not an object is broken: %s", (text) => {
    expect(mergeDaemonJson(text, {})).toBe("broken");
  });
});

test("a host's answer is read line by line, and omitted values stay undefined", () => {
  const line = (key: string, value: string) => `${key}=${Buffer.from(value).toString("base64")}`;
  const answer = [
    line("release", 'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04 LTS"'),
    line("user", "ops"),
    line("root", "sudo"),
    line("docker", "Docker version 28.2.2, build x"),
    line("dockerRuns", "26.1.5+dfsg1"),
    line("daemonJson", '{\n"mtu": 1400}'),
    line("ntp", "yes"),
    line("swarm", "yes"),
  ].join("\n");
  expect(parseState(answer)).toMatchObject({
    distribution: { family: "ubuntu", version: 24.04 },
    root: "sudo",
    docker: "26.1.5",
    dockerInstalled: "28.2.2",
    daemonJson: '{\n"mtu": 1400}',
    dockerRuns: true,
    ntp: true,
    swarm: true,
    daemonJsonHidden: false,
    dockerUser: undefined,
  });
});

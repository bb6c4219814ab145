import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DriftReport } from "../../operations/drift/difference";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { dockerAt } from "../../platform/docker/client";
import { run } from "../../platform/process";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate } from "../support/allocate";
import { editStack } from "../support/box";
import { changesOfWhatIsGone, changesOfWhatIsThere } from "../support/changesOnHost";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { SECOND_HOST, SecondHost } from "../support/secondHost";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT, net: NET } = allocate("ssh");
const DATA = `/srv/gpubox-${STACK}`;
const LOCAL = "unix:///var/run/docker.sock";

const namespaced = (config: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(config).map(([name, value]) => [`gpubox:${name}`, value]));

/** Waits for a state of the host, up to five minutes. */
const eventually = (what: string, holds: () => boolean | Promise<boolean>) =>
  until(what, holds, { seconds: 300, everyMs: 200 });

const answers = (url: string) =>
  fetch(url).then(
    ({ status }) => status === 200,
    () => false,
  );

needs(
  "docker",
  "pulumi",
  ...SECOND_HOST,
)("a host behind SSH", () => {
  let host: SecondHost;
  let laptop: TestProject;
  let key = "";
  const copies: TestProject[] = [];

  const sections = (more: Record<string, unknown> = {}, place: Record<string, unknown> = {}) => ({
    host: { dataDir: DATA, ...host.host(), ...place },
    gateway: { port: PORT, drainTimeout: 30 },
    cache: { mode: "none" },
    database: { mode: "none" },
    models: { tiny: { engine: "llamacpp", model: "canned", memoryMiB: 2048, ...more } },
  });
  /** Changes parts of the laptop's stack file; what `up` put there stays. */
  const edit = (project: TestProject, config: Record<string, unknown>) =>
    editStack(project, (present) => Object.assign(present, namespaced(config)));
  const checkout = (config = sections()) => {
    const copy = makeProject(STACK, PORT, config, { gateway: "stub" });
    copies.push(copy);
    return copy;
  };
  /** All that a refused command must not change: containers, their start, the files of the box. */
  const look = () =>
    host.console(
      `docker ps -aq --no-trunc 2>/dev/null; cat /etc/group /etc/docker/daemon.json 2>/dev/null; find /srv -type f -exec md5sum {} + 2>/dev/null | grep -v edge-state | sort; ls /srv`,
    );
  const refused = async (project: TestProject, verb: string[], what: string, fix: string) => {
    const before = look();
    const said = await gpubox(project, verb[0]!, ...verb.slice(1));
    expect(said.stderr).toContain(what);
    expect(said.stderr).toContain(fix);
    expect(said.stderr).not.toContain("    at ");
    expect(said.code).toBe(1);
    expect(look()).toBe(before);
  };
  const ask = (model: string) => {
    const body = JSON.stringify({ model, messages: [{ role: "user", content: "ping" }] });
    return host.request(
      `http://127.0.0.1:${PORT}/v1/chat/completions`,
      { authorization: `Bearer ${key}` },
      body,
    );
  };

  beforeAll(async () => {
    host = new SecondHost(STACK, NET);
    await host.start();
    laptop = checkout();
  }, 10 * MINUTE);

  afterAll(async () => {
    for (const copy of copies) {
      const config = join(copy.dir, `.gpubox/ssh/${STACK}/config`);
      await run("ssh", ["-F", config, "-O", "exit", host.address], { cwd: copy.dir });
      removeProject(copy);
    }
    await host?.remove();
  }, 2 * MINUTE);

  test(
    "that is bare says so, is prepared once, and then needs nothing",
    async () => {
      await refused(laptop, ["up"], `There is no Docker on ops@${host.address}.`, "gpubox host prepare");
      await refused(laptop, ["host", "prepare"], "Nobody is here to agree to 5 changes", "add --yes");
      const done = await gpubox(laptop, "host", "prepare", "--yes", "--json");
      expect({
        code: done.code,
        steps: JSON.parse(done.stdout || "{}").steps,
        said: done.stderr,
      }).toMatchObject({
        code: 0,
        steps: ["packages", "daemon", "group", "directory", "firewall"].map((id) => ({ id })),
      });
      const before = look();
      const again = await gpubox(laptop, "host", "prepare");
      expect(again.stdout).toContain("nothing to do");
      expect(again.code).toBe(0);
      expect(look()).toBe(before);
      expect(JSON.parse(host.console("cat /etc/docker/daemon.json"))).toEqual({
        "live-restore": true,
        "log-opts": { "max-size": "20m", "max-file": "5" },
      });
      expect(host.console("iptables -S DOCKER-USER").match(/--comment gpubox -j DROP/g)).toHaveLength(3);
    },
    10 * MINUTE,
  );

  test(
    "gets a box from the laptop, and plain Pulumi finds nothing left to do, through a new connection too",
    async () => {
      const roles = ["gateway", "edge", "llamacpp"] as const;
      const images = [...roles, "base" as const].map((role) => recipeReference(laptop.dir, role));
      for (const image of images)
        if (!(await dockerAt(LOCAL).hasImages(image)))
          await buildRecipes([...roles], { projectDir: laptop.dir, docker: LOCAL, log: () => {} });
      await host.copyImages(images);
      const up = await gpubox(laptop, "up");
      expect(up.code === 0 ? "" : up.stdout + up.stderr).toBe("");
      key = (
        await run("pulumi", ["config", "get", "gpubox:masterKey", "--stack", STACK], plain())
      ).stdout.trim();
      expect(ask("tiny")).toMatch(/ 200$/);
      expect(up.stdout).toContain(`All these addresses are on ops@${host.address}.`);
      const [way = ""] = /ssh -F .*/.exec(up.stdout) ?? [];
      const connect = JSON.parse((await gpubox(laptop, "connect", "openai", "--json")).stdout);
      expect(connect.notes.join()).toContain(way.replace(new RegExp(` -L ${PORT + 1}:\\S+`), ""));
      const tunnel = spawn(way.split(" ")[0]!, way.split(" ").slice(1), { cwd: laptop.dir, stdio: "ignore" });
      try {
        await eventually("an answer here", () => answers(`http://127.0.0.1:${PORT}/health/liveliness`));
      } finally {
        tunnel.kill();
      }
      expect(host.console(`cat ${DATA}/.gpubox-stack`)).toContain(`"stack":"${STACK}"`);

      host.cutConnections();
      const preview = await run(
        "pulumi",
        ["preview", "--stack", STACK, "--expect-no-changes", "--non-interactive"],
        plain(),
      );
      expect(preview.code === 0 ? "" : preview.stdout + preview.stderr).toBe("");
      const state = readFileSync(
        join(laptop.dir, `.gpubox/state/.pulumi/stacks/gpubox/${STACK}.json`),
        "utf8",
      );
      for (const local of [laptop.dir, host.key, host.address]) expect(state).not.toContain(local);
    },
    15 * MINUTE,
  );

  test(
    "is not needed for a preview, which says so",
    async () => {
      edit(laptop, sections({}, { docker: "ssh://ops@gpu1.invalid" }));
      try {
        const args = ["preview", "--stack", STACK, "--non-interactive"];
        const preview = await run("pulumi", args, plain());
        expect(preview.stdout).toContain("Preview without the host: The name gpu1.invalid leads nowhere.");
        // The record of the generation's config, which names the address, and nothing of the box.
        expect(preview.stdout).toMatch(/command:local:Command record replace/);
        expect(preview.stdout).toMatch(/Resources:\n +\+-1 to replace\n +\d+ unchanged\n/);
        expect(preview.code).toBe(0);
        const up = await run(
          "pulumi",
          ["up", "--yes", "--skip-preview", "--stack", STACK, "--non-interactive"],
          plain(),
        );
        expect(up.stdout + up.stderr).toContain("The name gpu1.invalid leads nowhere.");
        expect(up.code).not.toBe(0);
      } finally {
        edit(laptop, sections());
      }
    },
    5 * MINUTE,
  );

  test(
    "does thirty things at once through the shared connection, where sshd takes three handshakes",
    async () => {
      expect(host.console("/usr/sbin/sshd -T")).toContain("maxstartups 3:100:3");
      expect((await gpubox(laptop, "smoke")).code).toBe(0);
      const one = [
        "-H",
        `unix://.gpubox/ssh/${STACK}/docker.sock`,
        "exec",
        `gpubox-${STACK}-edge`,
        "echo",
        "there",
      ];
      const all = await Promise.all(
        Array.from({ length: 30 }, () => run("docker", one, { cwd: laptop.dir })),
      );
      expect(all.map(({ stdout, stderr }) => stdout.trim() || stderr)).toEqual(Array(30).fill("there"));
      expect(host.console("pgrep -fc '^sshd: ops'")).toMatch(/^[12]$/);
    },
    5 * MINUTE,
  );

  test(
    "is healthy for doctor until somebody removes a firewall rule, which prepare restores",
    async () => {
      const rows = async () => {
        const said = JSON.parse((await gpubox(laptop, "doctor", "--json")).stdout) as {
          rows: { row: string; state: string; findings: { what: string }[] }[];
        };
        const seen = said.rows.filter(({ row }) =>
          ["ssh", "docker", "clock", "arch", "disk", "prepared"].includes(row),
        );
        return Object.fromEntries(seen.map(({ row, state }) => [row, state]));
      };
      const well = { ssh: "ok", docker: "ok", clock: "ok", arch: "ok", disk: "ok", prepared: "ok" };
      expect(await rows()).toEqual(well);
      host.console("iptables -F DOCKER-USER");
      expect(await rows()).toEqual({ ...well, prepared: "note" });
      expect((await gpubox(laptop, "host", "prepare", "--yes")).stdout).toContain("+ DOCKER-USER: drop");
      expect(await rows()).toEqual(well);
    },
    5 * MINUTE,
  );

  test(
    "shows each of twenty changes that somebody made by hand, and the next up repairs them",
    async () => {
      const drift = async () => {
        const { code, stdout, stderr } = await gpubox(laptop, "drift", "--json");
        const { differences } = JSON.parse(stdout || `{"differences":"${stderr}"}`) as DriftReport;
        return { code, differences };
      };
      const prefix = `gpubox-${STACK}`;
      const inspect = (format: string, name: string) =>
        host.console(`docker inspect --format '${format}' ${name}`);
      // A second try begins with a box as planned.
      if ((await drift()).code !== 0) await gpubox(laptop, "up");
      let made = 0;
      for (const changes of [changesOfWhatIsThere, changesOfWhatIsGone]) {
        const gateway = host.console(`docker ps --filter name=${prefix}-gateway --format '{{.Names}}'`);
        const generation = inspect('{{index .Config.Labels "gpubox.generation"}}', gateway);
        const list = changes({ prefix, stack: STACK, data: DATA, gateway, generation });
        for (const { does } of list) host.console(does);
        made += list.length;
        const seen = await drift();
        expect(seen.code).toBe(2);
        const told = (subject: string) =>
          seen.differences
            .filter((one) => one.subject === subject)
            .map(({ what }) => what)
            .join("\n");
        for (const { subject, says } of list)
          expect([subject, told(subject)]).toEqual([subject, expect.stringMatching(says)]);
        expect(new Set(seen.differences.map(({ subject }) => subject))).toEqual(
          new Set(list.map(({ subject }) => subject)),
        );
        const up = await gpubox(laptop, "up");
        expect(up.code === 0 ? "" : up.stdout + up.stderr).toBe("");
        expect(await drift()).toEqual({ code: 0, differences: [] });
        expect(ask("tiny")).toMatch(/ 200$/);
      }
      expect(made).toBe(20);
    },
    15 * MINUTE,
  );

  test(
    "is reached through a jump host, whose key is checked too",
    async () => {
      const known = readFileSync(host.knownHosts, "utf8");
      const inner = known.replaceAll(host.address, "127.0.0.1");
      const files = { both: known + inner, inner, none: known };
      for (const [name, text] of Object.entries(files))
        writeFileSync(join(laptop.dir, `known.${name}`), text);
      const way = { docker: "ssh://ops@127.0.0.1", jump: `plain@${host.address}` };
      try {
        edit(laptop, sections({}, { ...way, knownHosts: "known.both" }));
        const through = await gpubox(laptop, "host", "prepare");
        expect(through.stdout + through.stderr).toContain("nothing to do");
        edit(laptop, sections({}, { ...way, knownHosts: "known.inner" }));
        await refused(
          laptop,
          ["host", "prepare"],
          `The host key of ${host.address} is not known`,
          "ssh-keyscan",
        );
        edit(laptop, sections({}, { ...way, knownHosts: "known.none" }));
        await refused(laptop, ["host", "prepare"], "The host key of 127.0.0.1 is not known", "ssh-keyscan");
      } finally {
        edit(laptop, sections());
      }
    },
    5 * MINUTE,
  );

  test(
    "keeps serving when the connection is lost in the middle of a change, and the next up finishes it",
    async () => {
      edit(laptop, sections({ aliases: ["second-name"] }));
      const changing = gpubox(laptop, "up");
      const gateways = () =>
        host.console(`docker ps -q --filter name=gpubox-${STACK}-gateway`).split("\n").length;
      await eventually("a second gateway", () => gateways() === 2);
      host.cutConnections();
      const cut = await changing;
      expect(cut.code).toBe(1);
      expect(cut.stdout + cut.stderr).toContain("What served before keeps serving");
      expect(ask("tiny")).toMatch(/ 200$/);
      const again = await gpubox(laptop, "up");
      expect(again.code === 0 ? "" : again.stdout + again.stderr).toBe("");
      expect(ask("second-name")).toMatch(/ 200$/);
      expect(gateways()).toBe(1);
    },
    15 * MINUTE,
  );

  describe("with a bad input changes nothing and says what to do", () => {
    const place = (more: Record<string, unknown>) => {
      edit(laptop, sections({ aliases: ["second-name"] }, more));
      return laptop;
    };
    afterEach(() => edit(laptop, sections({ aliases: ["second-name"] })));

    test("another host key", async () => {
      const other = join(laptop.dir, "known_hosts.other");
      writeFileSync(other, `${host.address} ${readFileSync(`${host.key}.pub`, "utf8")}`);
      const project = place({ knownHosts: other });
      await refused(
        project,
        ["up"],
        `The host key of ${host.address} is not the one in`,
        "only if they are the same",
      );
    });

    test("no host key", async () => {
      const project = place({ knownHosts: "/dev/null" });
      await refused(project, ["up"], `The host key of ${host.address} is not known`, "ssh-keyscan");
    });

    test("a key that the host does not accept", async () => {
      await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(laptop.dir, "other")]);
      const project = place({ identityFile: join(laptop.dir, "other") });
      await refused(project, ["up"], "does not accept the key", "ssh-copy-id");
    });

    test("a port where no sshd listens", async () => {
      const project = place({ docker: `ssh://ops@${host.address}:2222` });
      await refused(project, ["up"], `Nothing listens for SSH at ${host.address}:2222.`, "Start sshd there");
    });

    test("a user outside the group docker, without sudo", async () => {
      const project = place({ docker: host.host("plain").docker });
      await refused(project, ["up"], "but plain may not use it", "gpubox host prepare");
      await refused(project, ["host", "prepare", "--yes"], "sudo", "/etc/sudoers.d/plain");
    });

    test("a data directory on a full disk", async () => {
      host.console("mkdir -p /srv/small && mount -t tmpfs -o size=1m tmpfs /srv/small");
      try {
        const project = place({ dataDir: "/srv/small" });
        await refused(project, ["up"], "GiB free for /srv/small", "Free at least 3 GiB");
      } finally {
        host.console("umount /srv/small && rmdir /srv/small");
      }
    });

    test("another checkout's stack of the same name, and another stack in the same directory", async () => {
      await refused(
        checkout(),
        ["up"],
        "of another checkout, with another salt key",
        "gpubox up --take-over",
      );
      const other = makeProject(`${STACK}2`, PORT + 10, { ...sections(), gateway: { port: PORT + 10 } });
      try {
        await refused(
          other,
          ["up"],
          `belongs to the stack ${STACK}`,
          "a gpubox:host.dataDir and ports of its own",
        );
      } finally {
        await run("ssh", ["-F", `.gpubox/ssh/${STACK}2/config`, "-O", "exit", host.address], {
          cwd: other.dir,
        });
        removeProject(other);
      }
    });

    test("an address that leads to another engine than the box's", async () => {
      const id = host.console("docker info --format '{{.ID}}'").trim();
      const remembered = (hostId: string) =>
        editStack(laptop, (config) => Object.assign(config, { "gpubox:hostId": hostId }));
      const file = readFileSync(join(laptop.dir, `Pulumi.${STACK}.yaml`), "utf8");
      expect(file).toContain(id);
      remembered("another");
      try {
        await refused(
          laptop,
          ["up"],
          "is on another Docker engine than the one that answers",
          "gpubox:host.docker",
        );
      } finally {
        remembered(id);
      }
    });

    test(
      "an engine that is down",
      async () => {
        const before = host.console(`cat ${DATA}/.gpubox-stack`);
        host.console("kill $(cat /var/run/docker.pid); while [ -e /var/run/docker.pid ]; do sleep 0.2; done");
        try {
          const said = await gpubox(laptop, "up");
          expect(said.stderr).toContain("is installed on");
          expect(said.stderr).toContain("systemctl start docker");
          expect(said.code).toBe(1);
          expect(host.console(`cat ${DATA}/.gpubox-stack`)).toBe(before);
        } finally {
          expect((await gpubox(laptop, "host", "prepare", "--yes")).stdout).toContain("start Docker");
        }
        await eventually("an answer", () => ask("tiny").endsWith(" 200"));
      },
      5 * MINUTE,
    );
  });

  // Jest runs a block after the tests beside it: the first checkout has lost its box here.
  describe("that another checkout takes over, and says so", () => {
    test(
      "then belongs to that checkout, refuses the first one, and moves to another directory on demand",
      async () => {
        const other = checkout();
        const up = await gpubox(other, "up", "--take-over");
        expect(up.code === 0 ? "" : up.stdout + up.stderr).toBe("");
        const read = ["config", "get", "gpubox:masterKey", "--stack", STACK];
        key = (await run("pulumi", read, plain(other))).stdout.trim();
        expect(ask("tiny")).toMatch(/ 200$/);
        expect((await gpubox(other, "drift")).code).toBe(0);
        for (const verb of [["up"], ["down"], ["model", "stop", "tiny"]])
          await refused(laptop, verb, "of another checkout, with another salt key", "--take-over");

        const moved = `${DATA}-moved-${copies.length}`;
        edit(other, sections({}, { dataDir: moved }));
        await refused(
          other,
          ["up"],
          `runs on ops@${host.address} already, with its files in ${DATA}`,
          "--take-over",
        );
        const move = await gpubox(other, "up", "--take-over");
        expect(move.code === 0 ? "" : move.stdout + move.stderr).toBe("");
        expect((await gpubox(other, "drift")).code).toBe(0);
        expect(ask("tiny")).toMatch(/ 200$/);
        const markers = host.console(`ls ${DATA}/.gpubox-stack ${moved}/.gpubox-stack 2>/dev/null || true`);
        expect(markers).toBe(`${moved}/.gpubox-stack`);
        const left = ["preview", "--stack", STACK, "--expect-no-changes", "--non-interactive"];
        const preview = await run("pulumi", left, plain(other));
        expect(preview.code === 0 ? "" : preview.stdout + preview.stderr).toBe("");
      },
      15 * MINUTE,
    );
  });

  function plain({ dir, env } = laptop) {
    return {
      cwd: dir,
      env: { ...env, PULUMI_CONFIG_PASSPHRASE_FILE: join(dir, ".gpubox/passphrase") },
    };
  }
});

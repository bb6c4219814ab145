import { spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { LEAST_LOAD } from "../support/benchWords";
import { changesOfEveryRun } from "../support/changesOnHost";
import { needs } from "../support/needs";
import { gpubox } from "../support/project";
import { SECOND_HOST, type SecondHost } from "../support/secondHost";
import { SshBox } from "../support/sshBox";
import { until } from "../support/wait";
import { mistakeStories } from "./ssh/mistakes";

const MINUTE = 60_000;
const { stack: STACK, port: PORT, net: NET } = allocate("ssh");
const DATA = `/srv/gpubox-${STACK}`;

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
  let box: SshBox;
  let host: SecondHost;
  let tried = false;

  beforeAll(async () => {
    box = new SshBox(STACK, PORT, NET);
    host = box.host;
    await box.start();
  }, 10 * MINUTE);

  afterAll(() => box?.remove(), 2 * MINUTE);

  test(
    "that is bare says so, is prepared once, and then needs nothing",
    async () => {
      await box.refused(
        box.laptop,
        ["up"],
        `There is no Docker on ops@${host.address}.`,
        "gpubox host prepare",
      );
      await box.refused(box.laptop, ["host", "prepare"], "Nobody is here to agree to 5 changes", "add --yes");
      expect(await box.prepare()).toEqual(["packages", "daemon", "group", "directory", "firewall"]);
      const before = box.look();
      const again = await gpubox(box.laptop, "host", "prepare");
      expect(again.stdout).toContain("nothing to do");
      expect(again.code).toBe(0);
      expect(box.look()).toBe(before);
      expect(JSON.parse(host.console("cat /etc/docker/daemon.json"))).toEqual({
        "live-restore": true,
        "log-opts": { "max-size": "20m", "max-file": "5" },
      });
      expect(host.console("iptables -S DOCKER-USER").match(/--comment gpubox -j DROP/g)).toHaveLength(3);
    },
    10 * MINUTE,
  );

  test(
    "reaches no registry, and gets the images in a folder, once",
    async () => {
      const folder = join(box.laptop.dir, "carried");
      const carry = async (verb: string) => {
        const done = await gpubox(box.laptop, "images", verb, folder);
        expect(done.code === 0 ? "" : done.stdout + done.stderr).toBe("");
        return done.stdout;
      };
      await carry("save");
      expect(await carry("load")).toContain(`ops@${host.address} has 3 images, `);
      expect(await carry("load")).toContain(`ops@${host.address} has all 3 images already`);
      rmSync(folder, { recursive: true });
    },
    10 * MINUTE,
  );

  test(
    "gets a box from the laptop, and plain Pulumi finds nothing left to do, through a new connection too",
    async () => {
      const up = await box.mustUp(box.laptop);
      await box.readKey();
      expect(box.ask("tiny")).toMatch(/ 200$/);
      expect(up.stdout).toContain(`All these addresses are on ops@${host.address}.`);
      const [way = ""] = /ssh -F .*/.exec(up.stdout) ?? [];
      const connect = JSON.parse((await gpubox(box.laptop, "connect", "openai", "--json")).stdout);
      expect(connect.notes.join()).toContain(way.replace(new RegExp(` -L ${PORT + 1}:\\S+`), ""));
      const tunnel = spawn(way.split(" ")[0]!, way.split(" ").slice(1), {
        cwd: box.laptop.dir,
        stdio: "ignore",
      });
      try {
        await eventually("an answer here", () => answers(`http://127.0.0.1:${PORT}/health/liveliness`));
      } finally {
        tunnel.kill();
      }
      expect(host.console(`cat ${DATA}/.gpubox-stack`)).toContain(`"stack":"${STACK}"`);

      host.cutConnections();
      const status = JSON.parse((await gpubox(box.laptop, "host", "status", "--json")).stdout);
      expect(status).toMatchObject({ host: `ops@${host.address}`, lastChange: { serves: true } });
      expect(status.models).toContainEqual(expect.objectContaining({ model: "tiny", state: "loaded" }));

      const speed = await gpubox(box.laptop, "bench", "model", "tiny", ...LEAST_LOAD, "--json");
      expect([speed.code, speed.code === 0 || speed.stderr]).toEqual([0, true]);
      expect(JSON.parse(speed.stdout).cases).toMatchObject([{ answered: 2, failed: 0 }]);
      // It was measured there, and is kept there.
      expect(host.console(`cat ${DATA}/bench/tiny.json`)).toContain(JSON.parse(speed.stdout).generation);

      host.cutConnections();
      const preview = await box.pulumi(["preview", "--expect-no-changes", "--non-interactive"]);
      expect(preview.code === 0 ? "" : preview.stdout + preview.stderr).toBe("");
      const state = readFileSync(
        join(box.laptop.dir, `.gpubox/state/.pulumi/stacks/gpubox/${STACK}.json`),
        "utf8",
      );
      for (const local of [box.laptop.dir, host.key, host.address]) expect(state).not.toContain(local);
    },
    15 * MINUTE,
  );

  test(
    "is not needed for a preview, which says so",
    async () => {
      box.edit(box.laptop, box.sections({}, { docker: "ssh://ops@gpu1.invalid" }));
      try {
        const preview = await box.pulumi(["preview", "--non-interactive"]);
        expect(preview.stdout).toContain("Preview without the host: The name gpu1.invalid leads nowhere.");
        // The record of the generation's config, which names the address, and nothing of the box.
        expect(preview.stdout).toMatch(/command:local:Command record replace/);
        expect(preview.stdout).toMatch(/Resources:\n +\+-1 to replace\n +\d+ unchanged\n/);
        expect(preview.code).toBe(0);
        const up = await box.pulumi(["up", "--yes", "--skip-preview", "--non-interactive"]);
        expect(up.stdout + up.stderr).toContain("The name gpu1.invalid leads nowhere.");
        expect(up.code).not.toBe(0);
        const status = await gpubox(box.laptop, "host", "status");
        expect([status.code, status.stdout]).toEqual([1, ""]);
        expect(status.stderr).toMatch(/^error: The name gpu1\.invalid leads nowhere\.\n {7}\S.*\n$/);
      } finally {
        box.edit(box.laptop, box.sections());
      }
    },
    5 * MINUTE,
  );

  test(
    "does thirty things at once through the shared connection, where sshd takes three handshakes",
    async () => {
      expect(host.console("/usr/sbin/sshd -T")).toContain("maxstartups 3:100:3");
      expect((await gpubox(box.laptop, "smoke")).code).toBe(0);
      const one = [
        "-H",
        `unix://.gpubox/ssh/${STACK}/docker.sock`,
        "exec",
        `gpubox-${STACK}-edge`,
        "echo",
        "there",
      ];
      const all = await Promise.all(
        Array.from({ length: 30 }, () => run("docker", one, { cwd: box.laptop.dir })),
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
        const said = JSON.parse((await gpubox(box.laptop, "doctor", "--json")).stdout) as {
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
      expect((await gpubox(box.laptop, "host", "prepare", "--yes")).stdout).toContain("+ DOCKER-USER: drop");
      expect(await rows()).toEqual(well);
    },
    5 * MINUTE,
  );

  test(
    "shows each of fifteen changes that somebody made by hand, and the next up repairs them",
    async () => {
      // A second try begins with a box as planned.
      if (tried) await gpubox(box.laptop, "up");
      tried = true;
      expect(await box.proveDrift(changesOfEveryRun)).toBe(15);
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
        writeFileSync(join(box.laptop.dir, `known.${name}`), text);
      const way = { docker: "ssh://ops@127.0.0.1", jump: `plain@${host.address}` };
      try {
        box.edit(box.laptop, box.sections({}, { ...way, knownHosts: "known.both" }));
        const through = await gpubox(box.laptop, "host", "prepare");
        expect(through.stdout + through.stderr).toContain("nothing to do");
        box.edit(box.laptop, box.sections({}, { ...way, knownHosts: "known.inner" }));
        await box.refused(
          box.laptop,
          ["host", "prepare"],
          `The host key of ${host.address} is not known`,
          "ssh-keyscan",
        );
        box.edit(box.laptop, box.sections({}, { ...way, knownHosts: "known.none" }));
        await box.refused(
          box.laptop,
          ["host", "prepare"],
          "The host key of 127.0.0.1 is not known",
          "ssh-keyscan",
        );
      } finally {
        box.edit(box.laptop, box.sections());
      }
    },
    5 * MINUTE,
  );

  test(
    "keeps serving when the connection is lost in the middle of a change, and the next up finishes it",
    async () => {
      box.edit(box.laptop, box.sections({ aliases: ["second-name"] }));
      const changing = gpubox(box.laptop, "up");
      const gateways = () =>
        host.console(`docker ps -q --filter name=gpubox-${STACK}-gateway`).split("\n").length;
      await eventually("a second gateway", () => gateways() === 2);
      host.cutConnections();
      const cut = await changing;
      expect(cut.code).toBe(1);
      expect(cut.stdout + cut.stderr).toContain("What served before keeps serving");
      expect(box.ask("tiny")).toMatch(/ 200$/);
      await box.mustUp(box.laptop);
      expect(box.ask("second-name")).toMatch(/ 200$/);
      expect(gateways()).toBe(1);
    },
    15 * MINUTE,
  );

  mistakeStories(() => box);

  // Jest runs a block after the tests beside it: the first checkout has lost its box here.
  describe("that another checkout takes over, and says so", () => {
    test(
      "then belongs to that checkout, refuses the first one, and moves to another directory on demand",
      async () => {
        const other = box.checkout();
        await box.mustUp(other, "--take-over");
        await box.readKey(other);
        expect(box.ask("tiny")).toMatch(/ 200$/);
        const verbs = [["up"], ["down"], ["model", "stop", "tiny"]];
        await Promise.all(
          verbs.map((verb) =>
            box.refused(box.laptop, verb, "of another checkout, with another salt key", "--take-over"),
          ),
        );

        const moved = `${DATA}-moved-${box.copies.length}`;
        box.edit(other, box.sections({}, { dataDir: moved }));
        await box.refused(
          other,
          ["up"],
          `runs on ops@${host.address} already, with its files in ${DATA}`,
          "--take-over",
        );
        await box.mustUp(other, "--take-over");
        const left = ["preview", "--expect-no-changes", "--non-interactive"];
        const [drift, preview] = await Promise.all([gpubox(other, "drift"), box.pulumi(left, other)]);
        expect(drift.code).toBe(0);
        expect(preview.code === 0 ? "" : preview.stdout + preview.stderr).toBe("");
        expect(box.ask("tiny")).toMatch(/ 200$/);
        const markers = host.console(`ls ${DATA}/.gpubox-stack ${moved}/.gpubox-stack 2>/dev/null || true`);
        expect(markers).toBe(`${moved}/.gpubox-stack`);
      },
      15 * MINUTE,
    );
  });
});

import { appendFileSync, chmodSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DriftReport } from "../../operations/drift/difference";
import { output } from "../../platform/process";
import { allocate } from "../support/allocate";
import { complete, exportsIn, masterKeyOf } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("drift");
const PREFIX = `gpubox-${STACK}`;
const LABEL = `gpubox.stack=${STACK}`;
/** A container of the test's own, on nobody's behalf. */
const GUEST = `${STACK}-guest`;
const MODELS = ["tiny", "small", "big"];
const COPY = `${STACK}-copy`;

const docker = (...args: string[]) => output("docker", args);
const names = async (...filters: string[]) =>
  (await docker("ps", "-a", ...filters.flatMap((one) => ["--filter", one]), "--format", "{{.Names}}"))
    .split("\n")
    .filter(Boolean)
    .sort();

/** Something that somebody does to the host by hand, and what `drift` says of it. */
interface ByHand {
  kind: string;
  /** Name or path, as the report has it. */
  subject: () => string;
  what: RegExp;
  affects: string;
  change: () => Promise<unknown>;
  /** What the report says that a person has to do, where `up` must not. */
  fix?: () => Promise<unknown>;
}

/** Makes a network anew with a way out and without a label, and puts the containers back as they were on it. */
async function remake(network: string, roles: string[]): Promise<void> {
  const containers = roles.map((role) => `${PREFIX}-${role}`);
  const format = `{{join (index .NetworkSettings.Networks "${network}").Aliases " "}}`;
  const aliases: string[][] = [];
  for (const name of containers) {
    const all = (await docker("inspect", "--format", format, name)).split(" ");
    aliases.push(all.filter((alias) => alias && !/^[0-9a-f]{12}$/.test(alias)));
    await docker("network", "disconnect", network, name);
  }
  await docker("network", "rm", network);
  await docker("network", "create", network);
  for (const [index, name] of containers.entries())
    await docker("network", "connect", ...aliases[index]!.flatMap((one) => ["--alias", one]), network, name);
}

needs("docker", "pulumi")("drift of a box", () => {
  let project: TestProject;
  let key: string;
  let gateways: string[];
  let image: string;
  let tried = false;
  const gatewaysNow = () => names(`label=${LABEL}`, "label=gpubox.role=gateway");

  async function drift(): Promise<DriftReport & { code: number }> {
    const { code, stdout, stderr } = await gpubox(project, "drift", "--json");
    if (code !== 0 && code !== 2) throw new Error(stderr);
    return { ...(JSON.parse(stdout) as DriftReport), code };
  }

  const path = (...parts: string[]) => join(project.dataDir, ...parts);

  /** Does all of them, compares the report with what was done, repairs, and looks again. */
  async function findAndRepair(changes: ByHand[]): Promise<void> {
    for (const { change } of changes) await change();
    const report = await drift();
    const seen = report.differences.map(({ kind, subject }) => `${kind} ${subject}`);
    expect(seen.sort()).toEqual(changes.map(({ kind, subject }) => `${kind} ${subject()}`).sort());
    for (const { subject, what, kind, affects } of changes) {
      const found = report.differences.filter((one) => one.kind === kind && one.subject === subject());
      expect(found.map((one) => [one.affected.who, one.what])).toEqual([
        [affects, expect.stringMatching(what)],
      ]);
      expect(found[0]?.fix).toMatch(/`/);
    }
    expect(report.code).toBe(2);
    // Nothing of what the files hold is shown.
    expect(JSON.stringify(report)).not.toContain(key);

    for (const { fix } of changes) await fix?.();
    const up = await gpubox(project, "up", "--yes");
    // Pulumi says on standard output why it failed.
    expect([up.code, up.stderr, up.code === 0 ? "" : up.stdout.slice(-3000)]).toEqual([0, "", ""]);
    const after = await drift();
    expect([after.differences, after.code]).toEqual([[], 0]);
    for (const model of MODELS)
      expect(await complete(project.endpoint, key, model)).toBe("pong from the gpubox test model");
    gateways = await gatewaysNow();
  }

  beforeAll(async () => {
    const model = { engine: "llamacpp", model: "canned", memoryMiB: 1024, threads: 1 };
    project = makeProject(
      STACK,
      PORT,
      {
        gateway: { port: PORT, drainTimeout: 20, replicas: 2 },
        cache: { mode: "bundled" },
        database: { mode: "bundled" },
        models: Object.fromEntries(MODELS.map((name) => [name, { ...model }])),
      },
      { gateway: "stub" },
    );
    const up = await gpubox(project, "up", "--yes");
    expect([up.code, up.stderr]).toEqual([0, ""]);
    key = await masterKeyOf(project, exportsIn(up.stdout));
    gateways = await gatewaysNow();
    image = await docker("inspect", "--format", "{{.Config.Image}}", `${PREFIX}-cache`);
  }, 15 * MINUTE);
  afterAll(async () => {
    // What was made by hand has no label.
    const byHand = await names(`name=^${PREFIX}-`);
    await docker("rm", "--force", GUEST, COPY, ...byHand).catch(() => "");
    removeProject(project);
    const left = await output("docker", ["network", "ls", "--quiet", "--filter", `name=^${PREFIX}-`]);
    if (left) await output("docker", ["network", "rm", ...left.split("\n")]);
  }, 2 * MINUTE);

  test(
    "is none after `up`",
    async () => {
      expect(await drift()).toEqual({
        stack: STACK,
        differences: [],
        configChanged: false,
        notChecked: [],
        code: 0,
      });
    },
    MINUTE,
  );

  test(
    "in settings, rights, files, missing and foreign things is found, item by item, and repaired by `up` or as the report says",
    async () => {
      // A second try begins anew.
      if (tried) {
        await docker("rm", "--force", GUEST, COPY).catch(() => "");
        await gpubox(project, "up", "--yes");
        gateways = await gatewaysNow();
      }
      tried = true;
      const [gone, kept] = gateways as [string, string];
      await findAndRepair([
        // First, as it takes containers off the network and puts them back as they were.
        {
          ...{ kind: "network", subject: () => `${PREFIX}-backends`, affects: "all clients" },
          what: /it leads out of the host; it lacks the label/,
          change: () =>
            remake(
              `${PREFIX}-backends`,
              MODELS.flatMap((name) => [`valve-${name}`, `backend-${name}`]),
            ),
        },
        {
          ...{ kind: "container", subject: () => `${PREFIX}-backend-tiny`, affects: "clients of tiny" },
          what: /other limits: 1 CPUs instead of none/,
          change: () => docker("update", "--cpus", "1", `${PREFIX}-backend-tiny`),
        },
        {
          ...{ kind: "container", subject: () => `${PREFIX}-edge`, affects: "all clients" },
          what: /memory limit \(MiB\): 700 instead of 512;.*restart policy: no instead of unless-stopped/,
          change: () =>
            docker(
              ...["update", "--memory", "700m", "--memory-swap", "700m", "--restart", "no", `${PREFIX}-edge`],
            ),
        },
        {
          ...{ kind: "container", subject: () => `${PREFIX}-valve-tiny`, affects: "clients of tiny" },
          what: new RegExp(`networks: lacks gpubox-${STACK}-models`),
          change: () => docker("network", "disconnect", `${PREFIX}-models`, `${PREFIX}-valve-tiny`),
        },
        {
          ...{ kind: "container", subject: () => `${PREFIX}-backend-small`, affects: "clients of small" },
          what: new RegExp(`networks: another value of gpubox-${STACK}-backends`),
          change: async () => {
            await docker("network", "disconnect", `${PREFIX}-backends`, `${PREFIX}-backend-small`);
            await docker("network", "connect", `${PREFIX}-backends`, `${PREFIX}-backend-small`);
          },
        },
        {
          ...{ kind: "container", subject: () => `${PREFIX}-backend-big`, affects: "clients of big" },
          what: /is paused/,
          change: () => docker("pause", `${PREFIX}-backend-big`),
        },
        {
          ...{ kind: "container", subject: () => `${PREFIX}-cache`, affects: "all clients" },
          what: /does not run \(exited\)/,
          change: () => docker("stop", `${PREFIX}-cache`),
        },
        {
          ...{ kind: "file", subject: () => path("edge", "haproxy.cfg"), affects: "all clients" },
          what: /has other content than planned/,
          change: async () => appendFileSync(path("edge", "haproxy.cfg"), "# by hand\n"),
        },
        {
          ...{ kind: "file", subject: () => path("edge", "hold.lua"), affects: "all clients" },
          what: /is missing/,
          change: async () => unlinkSync(path("edge", "hold.lua")),
        },
        {
          ...{ kind: "file", subject: () => path("cache", "password"), affects: "all clients" },
          what: /has mode 644 instead of 640/,
          change: async () => chmodSync(path("cache", "password"), 0o644),
        },
        {
          ...{ kind: "file", subject: () => path("valve-big", "extra.cfg"), affects: "clients of big" },
          what: /does not belong to the box/,
          change: async () => writeFileSync(path("valve-big", "extra.cfg"), ""),
        },
        {
          ...{ kind: "file", subject: () => path("valve-small", "health.sh"), affects: "clients of small" },
          what: /is a link and not a plain file/,
          change: async () => {
            unlinkSync(path("valve-small", "health.sh"));
            symlinkSync("/bin/true", path("valve-small", "health.sh"));
          },
        },
        {
          ...{ kind: "directory", subject: () => path("backend-small"), affects: "clients of small" },
          what: /has mode 777 instead of 750/,
          change: async () => chmodSync(path("backend-small"), 0o777),
        },
        {
          // Removed, not replaced: its name on the host is the provider's.
          ...{ kind: "container", subject: () => `${PREFIX}-gateway`, affects: "all clients" },
          what: /is missing/,
          change: () => docker("rm", "--force", gone),
        },
        {
          ...{ kind: "container", subject: () => `${PREFIX}-valve-small`, affects: "clients of small" },
          what: /was made by somebody else/,
          change: async () => {
            await docker("rm", "--force", `${PREFIX}-valve-small`);
            const run = ["run", "--detach", "--init", "--name", `${PREFIX}-valve-small`];
            await docker(...run, "--network", `${PREFIX}-data`, "--entrypoint", "sleep", image, "3600");
          },
        },
        {
          ...{ kind: "container", subject: () => `${PREFIX}-valve-big`, affects: "clients of big" },
          what: /image: .*; entrypoint: another one.*user: 0 instead of .*environment: has also SECRET;/,
          change: async () => {
            await docker("rm", "--force", `${PREFIX}-valve-big`);
            const run = ["run", "--detach", "--init", "--name", `${PREFIX}-valve-big`, "--label", LABEL];
            const more = ["--user", "0", "--env", `SECRET=${key}`, "--entrypoint", "sleep"];
            await docker(...run, ...more, image, "3600");
          },
        },
        {
          ...{ kind: "container", subject: () => `${PREFIX}-database`, affects: "all clients" },
          what: /is missing/,
          change: () => docker("rm", "--force", `${PREFIX}-database`),
        },
        {
          ...{ kind: "volume", subject: () => `${PREFIX}-database`, affects: "all clients" },
          what: /The volume .* is missing/,
          change: () => docker("volume", "rm", `${PREFIX}-database`),
          // As the database itself says to those who have no backup.
          fix: async () => unlinkSync(path("database-state", "initialised")),
        },
        {
          ...{ kind: "directory", subject: () => path("valve-tiny"), affects: "clients of tiny" },
          what: /is missing/,
          change: async () => rmSync(path("valve-tiny"), { recursive: true }),
        },
        {
          ...{ kind: "edge", subject: () => `${PREFIX}-edge`, affects: "all clients" },
          what: /serves the generation by-hand instead of/,
          change: () =>
            docker(
              ...["exec", `${PREFIX}-edge`, "sh", "-c"],
              `echo '{"generation":"by-hand"}' > /var/lib/gpubox/serving.json`,
            ),
        },
        {
          ...{ kind: "undeclared container", subject: () => `${PREFIX}-old`, affects: "nobody's requests" },
          what: /nobody declares or records it/,
          change: () =>
            docker(...["create", "--name", `${PREFIX}-old`, "--label", LABEL, "--network", "none", image]),
        },
        {
          ...{ kind: "undeclared container", subject: () => COPY, affects: "nobody's requests" },
          what: /nobody declares or records it/,
          change: () => docker("create", "--name", COPY, "--label", LABEL, "--network", "none", image),
          fix: () => docker("rm", "--force", COPY),
        },
        {
          kind: "guest",
          subject: () => GUEST,
          affects: "whoever trusts the box's networks",
          what: new RegExp(`which does not belong to the box, is on gpubox-${STACK}-data`),
          change: () =>
            docker(
              ...["run", "--detach", "--init", "--name", GUEST, "--network", `${PREFIX}-data`],
              ...["--entrypoint", "sleep", image, "3600"],
            ),
          fix: () => docker("network", "disconnect", `${PREFIX}-data`, GUEST),
        },
      ]);
      expect(await names(`name=${kept}`)).toEqual([kept]);
    },
    15 * MINUTE,
  );
});

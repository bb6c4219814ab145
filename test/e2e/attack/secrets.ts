import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../../platform/process";
import { exportsIn, inShell } from "../../support/box";
import { engineTexts, filesBelow, leaksIn } from "../../support/leaks";

import { gpubox } from "../../support/project";
import { each } from "./answers";

import { type AttackBox, planted, STACK } from "./lab";

/** Files below `dataDir` that docs/secrets.md says hold secrets. */
const DOCUMENTED = [
  /^gateway\/[0-9a-f]+\/gateway\.env$/,
  /^backend-[^/]+\/(api-key|backend\.env)$/,
  /^valve-[^/]+\/keys\.map$/,
  /^edge\/(keys\.map|tls\.pem)$/,
  /^cache\/(redis\.conf|password)$/,
  /^database\/password$/,
];

const VERBS: string[][] = [
  ["plan", "--json"],
  ["smoke", "--json"],
  ["doctor", "--json"],
  ["models", "status", "--json"],
  ["drift", "--json"],
  ["preview", "--json"],
  ["job", "list", "--json"],
  ["job", "show", "eval", "--json"],
  ["connect", "openai", "--json"],
  ["logs", "gateway", "--json"],
  ["compose", "--json"],
];

/** Values that only files of root's may hold. `pulumi`: the box was made by its engine, and has a state. */
export function secretAttacks(box: () => AttackBox): void {
  /** The scanner finds a planted secret in this very text, so that an empty result means something. */
  const leaks = (place: string, text: string) => {
    expect([place, text.length > 0]).toEqual([place, true]);
    const { masterKey } = planted as { masterKey: string };
    expect(leaksIn(place, `${text}${masterKey}`, { masterKey })).toHaveLength(1);
    return leaksIn(place, text, planted);
  };

  test("no command line and no output had one while the box and the job came up", () => {
    const { seenArgv, said } = box();
    expect(seenArgv.length).toBeGreaterThan(20);
    expect(leaks("argv", seenArgv.join("\n"))).toEqual([]);
    expect(leaks("output", said.map(({ stdout, stderr }) => stdout + stderr).join("\n"))).toEqual([]);
  });

  test("the engine shows none: containers, labels, logs, networks, volumes, images", async () => {
    const { inspect, logs } = await engineTexts(STACK);
    const label = `label=gpubox.stack=${STACK}`;
    const names = async (...args: string[]) => (await output("docker", args)).split("\n").filter(Boolean);
    const networks = await names("network", "ls", "-q", "--filter", label);
    const volumes = await names("volume", "ls", "-q", "--filter", `name=^gpubox-${STACK}-`);
    const images = [...new Set(await names("ps", "-a", "--filter", label, "--format", "{{.Image}}"))];
    const history = images.map((image) => output("docker", ["history", "--no-trunc", image]));
    const since = ["events", "--since", box().began, "--until", new Date().toISOString(), "--filter", label];
    const places = {
      ...{ inspect, logs, events: await output("docker", since) },
      networks: await output("docker", ["network", "inspect", ...networks]),
      ...(volumes.length > 0 ? { volumes: await output("docker", ["volume", "inspect", ...volumes]) } : {}),
      images:
        (await output("docker", ["image", "inspect", ...images])) + (await Promise.all(history)).join("\n"),
    };
    expect(Object.entries(places).flatMap(([place, text]) => leaks(place, text))).toEqual([]);
  });

  test("no process has one in its environment, except the gateways, which read theirs from a file", async () => {
    const listed = await output("docker", [
      "ps",
      "--filter",
      `label=gpubox.stack=${STACK}`,
      "--format",
      "{{.Names}}",
    ]);
    const names = listed.split("\n").filter((name) => !/-(gateway|job)(-|$)/.test(name));
    expect(names).toContain(`gpubox-${STACK}-edge`);
    const environ = ["sh", "-c", "cat /proc/[0-9]*/environ 2>/dev/null; true"];
    const found = await Promise.all(
      names.map(async (name) => leaks(name, (await run("docker", ["exec", name, ...environ])).stdout)),
    );
    expect(found.flat()).toEqual([]);
  });

  test("no command prints one with --json", async () => {
    const found = await each(
      VERBS,
      async ([name, ...args]) => {
        const { stdout, stderr } = await gpubox(box().project, name!, ...args);
        return leaks([name, ...args].join(" "), stdout + stderr);
      },
      3,
    );
    expect(found.flat()).toEqual([]);
  }, 120_000);

  test("the project's files have none: config, Compose file, records, and the state with its history", async () => {
    const { dir } = box().project;
    const own = join(dir, ".gpubox");
    const kept = readdirSync(own, { withFileTypes: true }).filter(
      // Without Pulumi they lie in this one, as docs/secrets.md says.
      ({ name }) => name !== `secrets.${STACK}.json` && name !== "passphrase",
    );
    const texts = kept.map((entry) =>
      entry.isDirectory() ? filesBelow(join(own, entry.name)) : readFileSync(join(own, entry.name), "utf8"),
    );
    const compose = join(dir, `docker-compose.${STACK}.yaml`);
    expect([
      ...leaks("config", readFileSync(join(dir, `Pulumi.${STACK}.yaml`), "utf8")),
      ...leaks("records", texts.join("\n")),
      ...(existsSync(compose) ? leaks("Compose file", readFileSync(compose, "utf8")) : []),
    ]).toEqual([]);
    const exports = exportsIn(box().said[0]!.stdout);
    if (exports.length === 0) return;
    const exported = await inShell(box().project, exports, `pulumi stack export --stack ${STACK}`);
    expect(leaks("stack export", exported.stdout)).toEqual([]);
  });

  test("below the data directory they are only where docs/secrets.md says, readable by one group, and in no log", async () => {
    const { dataDir, dir } = box().project;
    const entries = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((one) =>
      one.isFile(),
    );
    const places = entries
      .map(({ parentPath, name }) => join(parentPath, name))
      .filter((path) => leaksIn(path, readFileSync(path, "latin1"), planted).length > 0)
      .map((path) => path.slice(dataDir.length + 1));
    expect(places).toContain("edge/keys.map");
    expect(places.filter((path) => !DOCUMENTED.some((one) => one.test(path)))).toEqual([]);
    const listed = await output("stat", ["-c", "%a %U", ...places.map((path) => join(dataDir, path))]);
    expect(new Set(listed.split("\n"))).toEqual(new Set(["640 root"]));
    expect(leaks("trajectory log", filesBelow(join(dataDir, "trajectories")))).toEqual([]);
    expect(leaks("job's log", filesBelow(join(dir, "artifacts", "litellm", "eval", "log")))).toEqual([]);
  });

  test("no backup has one, nor the output of backing up", async () => {
    const to = join(box().project.dir, "backups");
    // An empty database is not backed up.
    const sql = "CREATE TABLE attack AS SELECT 1 AS one";
    const psql = `PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)" PGPASSWORD="$(cat /etc/gpubox/password)" psql -h 127.0.0.1`;
    await output("docker", [
      ...["exec", box().container("database"), "sh", "-c", `${psql} -U litellm -d litellm -c '${sql}'`],
    ]);
    const { code, stdout, stderr } = await gpubox(box().project, "backup", "--to", to, "--json");
    expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
    expect([...leaks("backup", filesBelow(to)), ...leaks("output", stdout + stderr)]).toEqual([]);
  }, 120_000);

  test("no metric has one", async () => {
    const { body } = await box().ask(box().listener("admin"), { path: "/metrics" });
    expect(leaks("metrics of the gateway", body)).toEqual([]);
    const metrics = await run("docker", [
      "exec",
      box().container("edge"),
      "sh",
      "-c",
      'bash -c "source /etc/gpubox/control.sh; ask \\"show stat\\""',
    ]);
    expect(leaks("statistics of the edge", metrics.stdout)).toEqual([]);
  });
}

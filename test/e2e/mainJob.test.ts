import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { changed, complete, containersOf, editStack, exportsIn, inShell, modelsAt } from "../support/box";
import { FarServer } from "../support/farServer";
import { commandLines, engineTexts, filesBelow, leaksIn } from "../support/leaks";
import { needs } from "../support/needs";
import { ALTERED, alteredGateway, gatewaySql } from "../support/postgres";
import { gpubox, makeProject, removeProject, type TestProject, useBundle } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("main");
const COMPOSE = allocate("compose");
const NEWER = `gpubox-test/${STACK}:newer`;
const ANSWER = "pong from the gpubox test model";

/** What `up` prints for one model that answered on both protocols, plain and streamed. */
const SMOKE = [
  /ok {4}\/health\/readiness {3}healthy/,
  /ok {4}\/v1\/models {3}tiny/,
  /ok {4}tiny {2}\/v1\/chat\/completions {2}plain/,
  /ok {4}tiny {2}\/v1\/chat\/completions {2}streamed/,
  /ok {4}tiny {2}\/v1\/completions {7}plain/,
  /ok {4}tiny {2}\/v1\/completions {7}streamed/,
  /ok {4}tiny {2}\/v1\/messages {10}plain/,
  /ok {4}tiny {2}\/v1\/messages {10}streamed/,
];

needs("docker", "pulumi")("the main job, through Pulumi", () => {
  let project: TestProject;
  let exports: string[];
  let secrets: Record<string, string>;
  const seenArgv: string[] = [];
  let seenPreview: string;

  beforeAll(() => {
    // As the stack of the README's two commands: with keys and spend.
    project = makeProject(STACK, PORT, { database: { mode: "bundled" } }, { program: "sources" });
  });
  afterAll(async () => {
    removeProject(project);
    await run("docker", ["image", "rm", NEWER]);
  });

  test(
    "one command brings up a box that answers on both protocols",
    async () => {
      const watch = setInterval(() => seenArgv.push(commandLines()), 50);
      const up = await gpubox(project, "up", "--yes");
      clearInterval(watch);
      expect(up.stderr).not.toContain("error");
      expect(up.code).toBe(0);
      for (const line of SMOKE) expect(up.stdout).toMatch(line);
      expect(up.stdout).toContain("/health/readiness   healthy, db: connected\n");
      expect(up.stdout).toContain("ok    a virtual key   made, asked tiny, $0.00 spent, deleted\n");
      exports = exportsIn(up.stdout);
      expect(exports).toHaveLength(1);
      expect(up.stdout).toContain(`curl -s ${project.endpoint}/v1/chat/completions`);
      seenArgv.push(up.stdout, up.stderr);
    },
    20 * MINUTE,
  );

  test("the passphrase file is readable by its owner only", () => {
    expect(statSync(join(project.dir, ".gpubox", "passphrase")).mode & 0o777).toBe(0o600);
  });

  test(
    "plain pulumi works in a normal shell after the printed exports, and finds nothing to do",
    async () => {
      const preview = await inShell(
        project,
        exports,
        `pulumi preview --stack ${STACK} --refresh --expect-no-changes --diff --show-sames`,
      );
      expect(preview.stderr).toBe("");
      seenPreview = preview.stdout;
      expect(preview.code).toBe(0);
    },
    2 * MINUTE,
  );

  test(
    "a second up changes no container, although the package's bundle takes the place of the checkout's sources",
    async () => {
      const before = await containersOf(STACK);
      useBundle(project.dir);
      const up = await gpubox(project, "up");
      expect(up.code).toBe(0);
      expect(up.stdout).toMatch(/Resources:\n {4}\d+ unchanged/);
      expect(changed(before, await containersOf(STACK))).toEqual([]);
    },
    5 * MINUTE,
  );

  test(
    "no secret is in the state, docker inspect, any command line, logs, output, previews or configs",
    async () => {
      const values = await inShell(project, exports, `pulumi config --show-secrets --json --stack ${STACK}`);
      const config = JSON.parse(values.stdout) as Record<string, { value: string; secret: boolean }>;
      secrets = Object.fromEntries(
        Object.entries(config)
          .filter(([, entry]) => entry.secret)
          .map(([name, entry]) => [name, entry.value]),
      );
      expect(Object.keys(secrets).sort()).toEqual([
        "gpubox:cachePassword",
        "gpubox:databasePassword",
        "gpubox:masterKey",
        "gpubox:saltKey",
      ]);
      const { inspect, logs } = await engineTexts(STACK);
      const places = {
        state: filesBelow(join(project.dir, ".gpubox", "state")),
        inspect,
        logs,
        argv: seenArgv.join("\n"),
        preview: seenPreview,
        "stack config": readFileSync(join(project.dir, `Pulumi.${STACK}.yaml`), "utf8"),
      };
      for (const [place, text] of Object.entries(places)) {
        expect(text.length).toBeGreaterThan(100);
        // The scanner finds a planted secret in this very text, so an empty result means something.
        const planted = { planted: secrets["gpubox:masterKey"]! };
        expect(leaksIn(place, `${text}${planted.planted}`, planted)).toEqual([{ place, secret: "planted" }]);
        expect(leaksIn(place, text, secrets)).toEqual([]);
      }
    },
    2 * MINUTE,
  );

  test(
    "adding a name in the stack config and plain `pulumi up` serve it, and replace the gateway only",
    async () => {
      const before = await containersOf(STACK);
      editStack(project, (config: Record<string, { tiny: { aliases: string[] } }>) => {
        config["gpubox:models"]!.tiny.aliases = ["small"];
      });
      const up = await inShell(project, exports, `pulumi up --yes --skip-preview --stack ${STACK}`);
      expect(up.code).toBe(0);
      expect(changed(before, await containersOf(STACK))).toEqual(["gateway"]);
      const key = secrets["gpubox:masterKey"]!;
      expect(await modelsAt(project.endpoint, key)).toEqual(["small", "tiny"]);
      expect(await complete(project.endpoint, key, "small")).toBe(ANSWER);
    },
    5 * MINUTE,
  );

  test(
    "a config with mistakes is refused at preview without a stack trace, and the box keeps serving",
    async () => {
      const good = readFileSync(join(project.dir, `Pulumi.${STACK}.yaml`), "utf8");
      editStack(project, (config: Record<string, { tiny: { engine: string } }>) => {
        config["gpubox:models"]!.tiny.engine = "lamacpp";
      });
      const preview = await inShell(project, exports, `pulumi preview --stack ${STACK} --non-interactive`);
      expect(preview.code).not.toBe(0);
      expect(preview.stdout).toContain(
        'gpubox:models.tiny.engine: There is no engine "lamacpp". Did you mean "llamacpp"?',
      );
      expect(preview.stdout + preview.stderr).not.toMatch(/\n\s+at /);
      const up = await gpubox(project, "up");
      expect(up.code).toBe(1);
      expect(up.stderr).toContain('There is no engine "lamacpp". Did you mean "llamacpp"?');
      expect(up.stderr).not.toMatch(/\n\s+at /);
      expect(await complete(project.endpoint, secrets["gpubox:masterKey"]!, "tiny")).toBe(ANSWER);
      writeFileSync(join(project.dir, `Pulumi.${STACK}.yaml`), good);
    },
    2 * MINUTE,
  );

  test(
    "a migration that fails half-way fails `pulumi up` with Postgres' reason after a backup, what served goes on, and the next `up` continues",
    async () => {
      const path = join(project.dir, `.gpubox/resolved.${STACK}.json`);
      const resolved = JSON.parse(readFileSync(path, "utf8"));
      await alteredGateway(NEWER, ALTERED.newer);
      resolved.images.gateway.reference = NEWER;
      writeFileSync(path, JSON.stringify(resolved));
      const folder = join(project.dir, ".gpubox/backups");
      const backups = () => (existsSync(folder) ? readdirSync(folder) : []);
      const up = async () => {
        const command = `pulumi up --yes --skip-preview --stack ${STACK} --non-interactive`;
        const { code, stdout, stderr } = await inShell(project, exports, command);
        return { code, said: stdout + stderr };
      };
      const before = await containersOf(STACK);
      const first = await up();
      expect(first.code).not.toBe(0);
      expect(first.said).toContain(
        "The migration of the database failed, so the new gateway does not start; one that served before goes on.",
      );
      expect(first.said).toContain('relation "needed" does not exist');
      expect((await containersOf(STACK)).gateway).toBe(before.gateway);
      expect(await complete(project.endpoint, secrets["gpubox:masterKey"]!, "tiny")).toBe(ANSWER);
      const made = [expect.stringMatching(new RegExp(`^${STACK}-\\d{8}T\\d{6}Z$`))];
      expect(backups()).toEqual(made);

      // The backup before it still counts.
      await gatewaySql({ prefix: `gpubox-${STACK}` }, "CREATE TABLE needed ()");
      const second = await up();
      expect(second.code === 0 ? "" : second.said).toBe("");
      expect(backups()).toEqual(made);
      expect(changed(before, await containersOf(STACK))).toEqual(["gateway"]);
      expect(await complete(project.endpoint, secrets["gpubox:masterKey"]!, "tiny")).toBe(ANSWER);
    },
    12 * MINUTE,
  );

  test(
    "an image that is older than the database is told, and serves",
    async () => {
      const up = await gpubox(project, "up");
      expect(up.code === 0 ? "" : up.stdout + up.stderr).toBe("");
      expect(up.stdout).toContain("note: The database is newer than this gateway");
      expect(up.stdout).toContain("healthy, db: connected\n");
    },
    10 * MINUTE,
  );

  test(
    "down removes containers and networks and keeps the database's volume until it is named",
    async () => {
      const down = await gpubox(project, "down");
      expect(down.code).toBe(0);
      expect(await containersOf(STACK)).toEqual({});
      expect(down.stdout).toContain(`kept the volume gpubox-${STACK}-database`);
      expect(existsSync(join(project.dataDir, "gateway"))).toBe(true);
      const gone = await gpubox(project, "down", "--volume", "database", "--yes");
      expect(gone.code).toBe(0);
      expect(gone.stdout).toContain(`deleted the volume gpubox-${STACK}-database`);
    },
    5 * MINUTE,
  );
});

needs("docker")("the main job, through Compose", () => {
  let project: TestProject;
  const far = new FarServer(COMPOSE.stack);

  const secretsPath = () => join(project.dir, ".gpubox", `secrets.${COMPOSE.stack}.json`);
  const secretsOf = () => JSON.parse(readFileSync(secretsPath(), "utf8")) as Record<string, string>;
  const writeSecret = (name: string, value: string) =>
    writeFileSync(secretsPath(), JSON.stringify({ ...secretsOf(), [name]: value }));
  const generations = () => readdirSync(join(project.dataDir, "gateway"));

  beforeAll(() => {
    project = makeProject(COMPOSE.stack, COMPOSE.port, { database: { mode: "bundled" } });
  });
  afterAll(async () => {
    await far.remove();
    removeProject(project);
  });

  test(
    "one command brings up a box that answers on both protocols, and says what it loses",
    async () => {
      const up = await gpubox(project, "up", "--yes", "--engine", "compose");
      expect(up.code).toBe(0);
      for (const line of SMOKE) expect(up.stdout).toMatch(line);
      expect(up.stdout).toContain("There is no preview, no state and no drift check");
    },
    20 * MINUTE,
  );

  test(
    "its secrets are in a file that only the owner can read, and not in the Compose file, inspect or logs",
    async () => {
      expect(statSync(secretsPath()).mode & 0o777).toBe(0o600);
      const secrets = secretsOf();
      const compose = readFileSync(join(project.dir, `docker-compose.${COMPOSE.stack}.yaml`), "utf8");
      expect(compose).not.toContain("env_file");
      const texts = { compose, ...(await engineTexts(COMPOSE.stack)) };
      for (const [place, text] of Object.entries(texts)) expect(leaksIn(place, text, secrets)).toEqual([]);
    },
    MINUTE,
  );

  test(
    "a second up changes no container",
    async () => {
      const before = await containersOf(COMPOSE.stack);
      const up = await gpubox(project, "up", "--engine", "compose");
      expect(up.code).toBe(0);
      expect(changed(before, await containersOf(COMPOSE.stack))).toEqual([]);
    },
    5 * MINUTE,
  );

  test(
    "a migration that fails half-way ends `up` with Postgres' reason after a backup, and what served goes on in place",
    async () => {
      const recipe = join(project.dir, "images/gateway/Dockerfile");
      const pinned = readFileSync(recipe, "utf8");
      writeFileSync(
        recipe,
        `${pinned}USER 0\nRUN ${ALTERED.newer.replaceAll("\n", " \\\n")}\nUSER 65534:65534\n`,
      );
      const before = await containersOf(COMPOSE.stack);
      const up = await gpubox(project, "up", "--engine", "compose");
      expect(up.code).toBe(1);
      expect(up.stderr).toContain("The migration of the database failed, so the new gateway does not start");
      expect(up.stderr).toContain('relation "needed" does not exist');
      expect(await containersOf(COMPOSE.stack)).toEqual(before);
      expect(await complete(project.endpoint, secretsOf().masterKey!, "tiny")).toBe(ANSWER);
      const made = [expect.stringMatching(new RegExp(`^${COMPOSE.stack}-\\d{8}T\\d{6}Z$`))];
      expect(readdirSync(join(project.dir, ".gpubox/backups"))).toEqual(made);
      writeFileSync(recipe, pinned);
      const back = await gpubox(project, "up", "--engine", "compose");
      expect(back.code === 0 ? "" : back.stdout + back.stderr).toBe("");
      expect(await containersOf(COMPOSE.stack)).toEqual(before);
    },
    10 * MINUTE,
  );

  test(
    "a config with mistakes is refused with exit code 1, and the box keeps serving",
    async () => {
      editStack(project, (config: Record<string, { port: number | string }>) => {
        config["gpubox:gateway"]!.port = "four thousand";
      });
      const up = await gpubox(project, "up", "--engine", "compose");
      expect(up.code).toBe(1);
      expect(up.stderr).toBe(
        `error: Pulumi.${COMPOSE.stack}.yaml has 1 mistake:\n  gpubox:gateway.port: "four thousand" is not valid. Write a number.\n`,
      );
      expect(Object.keys(await containersOf(COMPOSE.stack)).sort()).toEqual([
        "backend-tiny",
        "cache",
        "database",
        "edge",
        "gateway",
        "valve-tiny",
      ]);
    },
    MINUTE,
  );

  test(
    "a provider's key that a person wrote into the secrets file is found, and reaches the provider",
    async () => {
      editStack(project, (config: Record<string, Record<string, unknown>>) => {
        config["gpubox:gateway"]!.port = COMPOSE.port;
        config["gpubox:models"]!.far = {
          ...{ engine: "openai", baseUrl: `${far.url}/v1`, model: "far-name" },
          apiKey: { secret: "farKey" },
        };
      });
      const missing = await gpubox(project, "up", "--engine", "compose");
      expect(missing.stderr).toContain(
        `The secret farKey is missing. Set it: pulumi config set --secret gpubox:farKey. Without Pulumi: write it into .gpubox/secrets.${COMPOSE.stack}.json.`,
      );
      const first = generations();
      await far.start(project);
      writeSecret("farKey", far.key);
      const up = await gpubox(project, "up", "--engine", "compose");
      expect(up.code === 0 ? "" : up.stdout + up.stderr).toBe("");
      expect(await complete(project.endpoint, secretsOf().masterKey!, "far")).toBe(far.answer);
      expect(generations()).toHaveLength(1);
      expect(generations()).not.toEqual(first);
    },
    5 * MINUTE,
  );

  test(
    "a proof that fails is told with its reason and with what serves then, and files of removed models are gone",
    async () => {
      writeSecret("farKey", "wrong-key-0123456789");
      editStack(project, (config: Record<string, { tiny?: unknown }>) => {
        delete config["gpubox:models"]!.tiny;
      });
      const up = await gpubox(project, "up", "--engine", "compose");
      expect(up.code).toBe(1);
      expect(up.stderr).toContain("Model far refused a chat request: status 401");
      expect(up.stderr).toContain(
        "Under Compose the edge sends to it all the same, and no earlier gateway goes on.",
      );
      expect(up.stderr).not.toContain("what served before goes on");
      expect(await modelsAt(project.endpoint, secretsOf().masterKey!)).toEqual(["far"]);
      expect(existsSync(join(project.dataDir, "backend-tiny"))).toBe(false);
      expect(generations()).toHaveLength(1);
    },
    5 * MINUTE,
  );

  test(
    "is removed with every file that holds a key, and the host belongs to nobody afterwards",
    async () => {
      expect(readFileSync(join(project.dataDir, ".gpubox-stack"), "utf8")).toContain(
        `"stack":"${COMPOSE.stack}"`,
      );
      await far.remove();
      const secrets = secretsOf();
      expect(leaksIn("host", filesBelow(project.dataDir), secrets)).not.toEqual([]);
      const down = await gpubox(project, "down");
      expect(down.code === 0 ? "" : down.stdout + down.stderr).toBe("");
      expect(await containersOf(COMPOSE.stack)).toEqual({});
      expect(generations()).toEqual([]);
      expect(leaksIn("host", filesBelow(project.dataDir), secrets)).toEqual([]);
      expect(existsSync(join(project.dataDir, ".gpubox-stack"))).toBe(false);
    },
    5 * MINUTE,
  );
});

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { allocate } from "../support/allocate";
import { changed, complete, containersOf, editStack, modelsAt } from "../support/box";
import { FarServer } from "../support/farServer";
import { engineTexts, filesBelow, leaksIn } from "../support/leaks";
import { needs } from "../support/needs";
import { ALTERED } from "../support/postgres";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { SMOKE } from "../support/smokeLines";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("compose");
const ANSWER = "pong from the gpubox test model";

needs("docker")("the main job, through Compose", () => {
  let project: TestProject;
  const far = new FarServer(STACK);

  const secretsPath = () => join(project.dir, ".gpubox", `secrets.${STACK}.json`);
  const secretsOf = () => JSON.parse(readFileSync(secretsPath(), "utf8")) as Record<string, string>;
  const writeSecret = (name: string, value: string) =>
    writeFileSync(secretsPath(), JSON.stringify({ ...secretsOf(), [name]: value }));
  const generations = () => readdirSync(join(project.dataDir, "gateway"));

  beforeAll(() => {
    project = makeProject(STACK, PORT, { database: { mode: "bundled" } });
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
      const compose = readFileSync(join(project.dir, `docker-compose.${STACK}.yaml`), "utf8");
      expect(compose).not.toContain("env_file");
      const texts = { compose, ...(await engineTexts(STACK)) };
      for (const [place, text] of Object.entries(texts)) expect(leaksIn(place, text, secrets)).toEqual([]);
    },
    MINUTE,
  );

  test(
    "a second up changes no container",
    async () => {
      const before = await containersOf(STACK);
      const up = await gpubox(project, "up", "--engine", "compose");
      expect(up.code).toBe(0);
      expect(changed(before, await containersOf(STACK))).toEqual([]);
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
      const before = await containersOf(STACK);
      const up = await gpubox(project, "up", "--engine", "compose");
      expect(up.code).toBe(1);
      expect(up.stderr).toContain("The migration of the database failed, so the new gateway does not start");
      expect(up.stderr).toContain('relation "needed" does not exist');
      expect(await containersOf(STACK)).toEqual(before);
      expect(await complete(project.endpoint, secretsOf().masterKey!, "tiny")).toBe(ANSWER);
      const made = [expect.stringMatching(new RegExp(`^${STACK}-\\d{8}T\\d{6}Z$`))];
      expect(readdirSync(join(project.dir, ".gpubox/backups"))).toEqual(made);
      writeFileSync(recipe, pinned);
      const back = await gpubox(project, "up", "--engine", "compose");
      expect(back.code === 0 ? "" : back.stdout + back.stderr).toBe("");
      expect(await containersOf(STACK)).toEqual(before);
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
        `error: Pulumi.${STACK}.yaml has 1 mistake:\n  gpubox:gateway.port: "four thousand" is not valid. Write a number.\n`,
      );
      expect(Object.keys(await containersOf(STACK)).sort()).toEqual([
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
        config["gpubox:gateway"]!.port = PORT;
        config["gpubox:models"]!.far = {
          ...{ engine: "openai", baseUrl: `${far.url}/v1`, model: "far-name" },
          apiKey: { secret: "farKey" },
        };
      });
      const missing = await gpubox(project, "up", "--engine", "compose");
      expect(missing.stderr).toContain(
        `The secret farKey is missing. Set it: pulumi config set --secret gpubox:farKey. Without Pulumi: write it into .gpubox/secrets.${STACK}.json.`,
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
      expect(readFileSync(join(project.dataDir, ".gpubox-stack"), "utf8")).toContain(`"stack":"${STACK}"`);
      await far.remove();
      const secrets = secretsOf();
      expect(leaksIn("host", filesBelow(project.dataDir), secrets)).not.toEqual([]);
      const down = await gpubox(project, "down");
      expect(down.code === 0 ? "" : down.stdout + down.stderr).toBe("");
      expect(await containersOf(STACK)).toEqual({});
      expect(generations()).toEqual([]);
      expect(leaksIn("host", filesBelow(project.dataDir), secrets)).toEqual([]);
      expect(existsSync(join(project.dataDir, ".gpubox-stack"))).toBe(false);
    },
    5 * MINUTE,
  );
});

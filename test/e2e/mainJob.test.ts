import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { changed, complete, containersOf, editStack, exportsIn, inShell, modelsAt } from "../support/box";
import { commandLines, engineTexts, filesBelow, leaksIn } from "../support/leaks";
import { needs } from "../support/needs";
import { ALTERED, alteredGateway, gatewaySql } from "../support/postgres";
import { gpubox, makeProject, removeProject, type TestProject, useBundle } from "../support/project";
import { SMOKE } from "../support/smokeLines";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("main");
const NEWER = `gpubox-test/${STACK}:newer`;
const ANSWER = "pong from the gpubox test model";

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

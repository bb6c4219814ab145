import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { complete, containersOf, exportsIn, inShell } from "../support/box";
import { needs } from "../support/needs";
import { gatewaySql, imageWithoutPrisma, litellmSql } from "../support/postgres";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("keysup");
const BARE = `gpubox-test/${STACK}:bare`;

/** A gateway without Prisma counts as the official image here; that it cannot migrate is the failure that is wanted. */
needs("docker", "pulumi")("a gateway image whose migration fails", () => {
  let project: TestProject;
  let exports: string[];
  const key = async () =>
    (await inShell(project, exports, `pulumi config get gpubox:masterKey --stack ${STACK}`)).stdout.trim();
  const backups = () => {
    const folder = join(project.dir, ".gpubox/backups");
    return existsSync(folder) ? readdirSync(folder) : [];
  };

  beforeAll(async () => {
    project = makeProject(STACK, PORT);
    const up = await gpubox(project, "up");
    expect({ code: up.code, stderr: up.code === 0 ? "" : up.stderr + up.stdout }).toEqual({
      code: 0,
      stderr: "",
    });
    exports = exportsIn(up.stdout);
    const path = join(project.dir, `.gpubox/resolved.${STACK}.json`);
    const resolved = JSON.parse(readFileSync(path, "utf8"));
    resolved.images.gateway.source = "digest";
    await gatewaySql({ prefix: `gpubox-${STACK}` }, await litellmSql(resolved.images.gateway.reference));
    await imageWithoutPrisma(BARE);
    resolved.images.gateway.reference = BARE;
    writeFileSync(path, JSON.stringify(resolved));
  }, 6 * MINUTE);
  afterAll(async () => {
    removeProject(project);
    await run("docker", ["image", "rm", BARE]);
  });

  test(
    "fails `pulumi up` with LiteLLM's reason after a backup, and what served keeps serving",
    async () => {
      const before = await containersOf(STACK);
      const up = () =>
        inShell(project, exports, `pulumi up --yes --skip-preview --stack ${STACK} --non-interactive`);
      const first = await up();
      expect(first.code).not.toBe(0);
      const said = first.stdout + first.stderr;
      expect(said).toContain("The migration of the database failed; what served before goes on.");
      expect(said).toContain("the prisma CLI is neither on PATH nor importable");
      expect((await containersOf(STACK)).gateway).toBe(before.gateway);
      expect(await complete(project.endpoint, await key(), "tiny")).not.toMatch(/^\d{3} /);
      expect(backups()).toEqual([expect.stringMatching(new RegExp(`^${STACK}-\\d{8}T\\d{6}Z$`))]);

      // The migration is tried again, and the backup before it still counts.
      const second = await up();
      expect(second.stdout + second.stderr).toContain("The migration of the database failed");
      expect(backups()).toHaveLength(1);
    },
    6 * MINUTE,
  );
});

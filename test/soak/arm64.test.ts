import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ImageRole } from "../../configs/kit/imageRoles";
import { run } from "../../platform/process";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate } from "../support/allocate";
import { ARM64_PROGRAMS, needs } from "../support/needs";
import { programOf } from "../support/project";
import { SECOND_HOST } from "../support/secondHost";
import { SshBox } from "../support/sshBox";

const MINUTE = 60_000;
const { stack: STACK, port: PORT, net: NET } = allocate("arm64");

/** A recipe and the program that its image is for. Not the gateway's: qemu would take hours for what pip and Prisma do there. */
const PROGRAMS: Partial<Record<ImageRole, string>> = {
  edge: "/usr/sbin/haproxy",
  cache: "/usr/bin/redis-server",
  database: "/usr/lib/postgresql/17/bin/postgres",
  llamacpp: "/app/.venv/bin/python3",
};
const ROLES = Object.keys(PROGRAMS) as ImageRole[];

/** In place of this machine's program: the recipes' base for arm64. What starts from an image has its programs. */
const DEBOOTSTRAP = '[ "$1" = --version ] || set -- --arch=arm64 "$@"';

/** Machine of an ELF file: AArch64, little-endian. */
const AARCH64 = "b7 00";

// The engine itself stays one of this machine's processor: it says amd64, and what containers run goes through qemu.
needs(
  "docker",
  "pulumi",
  ...SECOND_HOST,
  ARM64_PROGRAMS,
)("a host whose images are for arm64", () => {
  let box: SshBox;

  beforeAll(async () => {
    box = new SshBox(STACK, PORT, NET);
    await box.start();
    // All that a box has: with keys and spend, and a cache.
    box.laptop = box.checkout({ ...box.sections(), cache: {}, database: {} }, {});
    const programs = join(box.laptop.dir, ".arm64");
    mkdirSync(programs);
    const path = `PATH=$(printf %s "$PATH" | sed 's#^[^:]*:##')`;
    const program = join(programs, "debootstrap");
    writeFileSync(program, `#!/bin/sh\n${DEBOOTSTRAP}\n${path}\nexec debootstrap "$@"\n`);
    chmodSync(program, 0o755);
    box.laptop.env.PATH = `${programs}:${process.env.PATH}`;
    await box.prepare();
  }, 20 * MINUTE);

  afterAll(() => box?.remove(), 2 * MINUTE);

  test(
    "gets a box from the recipes, which answers on both protocols and with a key of the database",
    async () => {
      const { dir, env, stack } = box.laptop;
      await box.copyImages(["gateway"], []);
      // Without the time limit of other tests: qemu takes a quarter of an hour for what takes a minute elsewhere.
      const up = await run(process.execPath, programOf(box.laptop, ["up", "--yes", "--stack", stack]), {
        cwd: dir,
        env,
      });
      expect([up.code, up.code === 0 ? "" : up.stdout + up.stderr]).toEqual([0, ""]);
      expect(up.stdout).toContain("/health/readiness   healthy, db: connected\n");
      for (const route of ["/v1/chat/completions", "/v1/completions", "/v1/messages"])
        for (const how of ["plain", "streamed"])
          expect(up.stdout).toMatch(new RegExp(`ok {4}tiny {2}${route} +${how}`));
      expect(up.stdout).toContain("ok    a virtual key   made, asked tiny, $0.00 spent, deleted\n");
    },
    90 * MINUTE,
  );

  test("runs nothing of this machine's own processor in it", () => {
    const machines = ROLES.map((role) => {
      const image = recipeReference(box.laptop.dir, role);
      const read = `od -An -tx1 -j18 -N2 "$(readlink -f ${PROGRAMS[role]})"`;
      const run = `docker run --rm --network none --entrypoint sh ${image} -c '${read}'`;
      return [role, box.host.console(run)];
    });
    expect(machines).toEqual(ROLES.map((role) => [role, AARCH64]));
  });

  test("refuses a plan for arm64 while its engine says amd64", async () => {
    const other = box.checkout({ ...box.sections({}, { arch: "arm64" }), cache: {}, database: {} });
    await box.refused(other, ["up"], "gpubox:host.arch says arm64", "Write gpubox:host.arch: amd64");
  });
});

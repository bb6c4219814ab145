import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { findGarbage, removeGarbage } from "../../operations/gc/collect";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { readResolved } from "../../platform/stack/resolved";
import { allocate } from "../support/allocate";
import { needs } from "../support/needs";
import { makeProject, programOf, removeProject, type TestProject, writeStack } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("gc");

needs("docker")("gpubox gc", () => {
  // No role's name: other tests take the newest image of a role.
  const unused = `gpubox/test-unused:${process.pid}`;
  let project: TestProject;
  const onHost = (path: string) => join(project.dataDir, path);
  const weights = (revision: string) => onHost(`models/hf/owner/name/${revision}`);
  const recorded = (generation: string) => join(project.dir, ".gpubox/history", STACK, generation);
  const gc = (...args: string[]) =>
    run(process.execPath, programOf(project, ["gc", ...args]), { cwd: project.dir });
  /** Only what the test put there: this machine may have other things that nothing uses. */
  const found = async () =>
    (await findGarbage(project.dir)).filter(
      ({ name }) => name === unused || name.startsWith(project.dataDir),
    );

  /** What an `up` leaves behind: a config with its record, weights, and the directory of a gateway. */
  const bringUp = (generation: string, minute: number) => {
    writeStack(project, {
      host: { dataDir: project.dataDir },
      models: { m: { engine: "llamacpp", model: `hf://owner/name@${generation}/m.gguf` } },
    });
    mkdirSync(recorded(generation), { recursive: true });
    cpSync(join(project.dir, `Pulumi.${STACK}.yaml`), join(recorded(generation), "stack.yaml"));
    utimesSync(recorded(generation), minute * 60, minute * 60);
    mkdirSync(weights(generation), { recursive: true });
    writeFileSync(join(weights(generation), "m.gguf"), Buffer.alloc(1_000_000));
    mkdirSync(onHost(`gateway/${generation}`), { recursive: true });
  };

  beforeAll(async () => {
    project = makeProject(STACK, PORT, {}, { gateway: "stub" });
    ["first", "second", "third"].forEach(bringUp);
    const resolved = join(project.dir, `.gpubox/resolved.${STACK}.json`);
    mkdirSync(dirname(resolved), { recursive: true });
    writeFileSync(resolved, JSON.stringify(readResolved(packageDir, STACK)));
    // The same host under another address: nothing of it is listed twice.
    const socket = realpathSync("/var/run/docker.sock");
    const file = readFileSync(join(project.dir, `Pulumi.${STACK}.yaml`), "utf8");
    writeFileSync(
      join(project.dir, `Pulumi.${STACK}2.yaml`),
      file.replace("dataDir:", `docker: unix://${socket}\n    dataDir:`),
    );
    cpSync(resolved, resolved.replace(`.${STACK}.json`, `.${STACK}2.json`));
    await output("sh", ["-c", `tar -c --files-from /dev/null | docker import - ${unused}`]);
  }, MINUTE);
  afterAll(async () => {
    await run("docker", ["image", "rm", "-f", unused]);
    removeProject(project);
  }, MINUTE);

  test(
    "lists with sizes what neither the present config nor a rollback needs, and removes nothing without --yes",
    async () => {
      const listed = await gc("--json");
      // With --json, what people read goes to standard error.
      expect([listed.code, listed.stderr]).toEqual([
        0,
        expect.stringContaining("`gpubox gc --yes` removes them."),
      ]);
      const bytes = expect.any(Number);
      expect(JSON.parse(listed.stdout)).toEqual(
        expect.arrayContaining([
          { kind: "image", name: unused, bytes },
          { kind: "weights", name: weights("first"), bytes },
          { kind: "generation", name: onHost("gateway/first"), bytes },
        ]),
      );
      expect(await found()).toHaveLength(3);
      expect((await found()).find(({ kind }) => kind === "weights")!.bytes).toBeGreaterThan(999_999);
      expect(existsSync(weights("first"))).toBe(true);
    },
    MINUTE,
  );

  test(
    "removes what it listed, and keeps what serves and what a rollback brings back",
    async () => {
      for (const item of await found()) await removeGarbage(item);
      expect(await found()).toEqual([]);
      expect((await run("docker", ["image", "inspect", unused])).code).toBe(1);
      const kept = ["first", "second", "third"].map((generation) => [
        existsSync(weights(generation)),
        existsSync(onHost(`gateway/${generation}`)),
      ]);
      expect(kept).toEqual([
        [false, false],
        [true, true],
        [true, true],
      ]);
    },
    MINUTE,
  );

  test(
    "lists nothing while it cannot tell what a rollback needs",
    async () => {
      writeFileSync(join(recorded("second"), "stack.yaml"), "config: { gpubox:modles: {} }");
      const { code, stderr } = await gc();
      expect(code).toBe(1);
      expect(stderr).toContain(`It is unknown what generation second of the stack ${STACK} needs`);
    },
    MINUTE,
  );
});

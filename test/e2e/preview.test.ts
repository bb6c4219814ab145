import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { output } from "../../platform/process";
import { allocate } from "../support/allocate";
import { changed, containersOf } from "../support/box";
import { needs } from "../support/needs";
import { named, PreviewBox, proveEdits } from "../support/previewBox";
import { EDITS } from "../support/previewEdits";
import { gpubox } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("preview");

needs("docker", "pulumi")("what a preview says is what `up` then does", () => {
  let box: PreviewBox;

  beforeAll(async () => {
    box = await PreviewBox.open(STACK, PORT);
  }, 20 * MINUTE);
  afterAll(() => box?.close(), MINUTE);

  test("after `up` there is nothing to do", async () => {
    const { containers, models, settings, secrets, base } = await box.preview();
    expect({ containers, models, settings, secrets }).toEqual({
      containers: [],
      models: [],
      settings: [],
      secrets: [],
    });
    expect(base).toMatch(/^generation [0-9a-f]{12}, which `up` recorded here at /);
  });

  test.each(EDITS.map((edits) => [edits.map(({ what }) => what).join(", "), edits] as const))(
    "%s",
    (_, edits) => proveEdits(box, edits),
    6 * MINUTE,
  );

  test(
    "an unfinished `up` is reported until one finishes",
    async () => {
      const before = readFileSync(box.stackFile(), "utf8");
      const taken = createServer().listen(PORT + 9, "127.0.0.1");
      await once(taken, "listening");
      box.edit((config) => {
        config["gpubox:gateway"]!.port = PORT + 9;
      });
      const failed = await box.pulumi("up --yes --skip-preview");
      taken.close();
      expect(failed.code).not.toBe(0);
      // Back to what is recorded, so that nothing but the mark tells of it.
      writeFileSync(box.stackFile(), before);
      const [said, engine] = await Promise.all([box.preview(), box.pulumi("preview")]);
      expect([said.unfinished, said.containers, said.settings]).toEqual([true, [], []]);
      expect(engine.stdout).toContain(said.notes[0]);
      const again = await gpubox(box.project, "up", "--yes");
      expect([again.code, again.stderr]).toEqual([0, ""]);
      const [after, idle] = await Promise.all([box.preview(), box.pulumi("preview --expect-no-changes")]);
      expect(after.unfinished).toBeUndefined();
      expect([idle.code, idle.stdout]).toEqual([0, expect.not.stringContaining("did not finish")]);
    },
    6 * MINUTE,
  );

  test(
    "a secret that is set again is announced by name, and its value appears nowhere",
    async () => {
      const value = "sk-another-0123456789abcdefghijkl";
      await box.setSecret("masterKey", value);
      const said = await box.preview();
      expect(said.secrets).toEqual([
        { name: "masterKey", change: "set anew", containers: ["edge", "gateway"] },
      ]);
      expect(JSON.stringify(said)).not.toContain(value);
      box.key = value;
      const before = await containersOf(STACK);
      expect((await box.pulumi("up --yes --skip-preview")).code).toBe(0);
      expect(changed(before, await containersOf(STACK))).toEqual(named(said, "replaced"));
      expect(named(said, "reloaded")).toEqual(["edge"]);
    },
    3 * MINUTE,
  );

  test(
    "another version of gpubox shows in what is deployed, although the config is the same",
    async () => {
      const file = "assets/haproxy/health.sh";
      const said = async () => (await box.preview()).containers.map(({ container }) => container);
      expect(await said()).toEqual([]);
      await output("sh", ["-c", `echo '# another' >> ${file}`], { cwd: box.project.dir });
      expect(await said()).toEqual(expect.arrayContaining(["valve-tiny", "edge"]));
    },
    2 * MINUTE,
  );

  test(
    "Pulumi's own preview says who waits in the same words, and is added when its state is available",
    async () => {
      box.edit((config) => {
        config["gpubox:gateway"]!.adminPort = PORT + 7;
      });
      const [said, engine, both, stack] = await Promise.all([
        box.preview(),
        box.pulumi("preview"),
        gpubox(box.project, "preview", "--engine"),
        box.pulumi("stack output --json"),
      ]);
      const [gap] = said.gaps;
      expect(gap?.notice).toMatch(/^The edge is replaced: for about 10 s nobody gets in, /);
      expect(engine.stdout).toContain(gap?.notice);
      expect(both.stdout).toMatch(/\nPulumi's own preview counts: (\d+ \w+(, )?)+\.\n$/);
      const outputs = JSON.parse(stack.stdout);
      expect(Object.keys(outputs).sort()).toEqual(
        ["adminEndpoint", "endpoint", "gpus", "models", "notes", "policy", "ports"].sort(),
      );
      const port = Number(new URL(box.project.endpoint).port);
      expect(outputs.ports).toEqual({ [`127.0.0.1:${port}`]: "edge", [`127.0.0.1:${port + 1}`]: "edge" });
    },
    2 * MINUTE,
  );
});

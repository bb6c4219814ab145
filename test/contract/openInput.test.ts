import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { directoryInput, writeDirectory } from "../../configs/kit/hostFiles";
import { directory, renderText } from "../../configs/kit/text";
import { planSpace } from "../../configs/plan/space";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { packageDir } from "../../platform/project";
import { needs } from "../support/needs";
import { testPlan, tinyModel } from "../support/stacks";

/** Runs a program whose input is never closed, as Docker 20.10 leaves it to a container now and then; its exit status. */
function withOpenInput(program: string, args: string[], input: string): Promise<number | null> {
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "ignore"] });
  child.stdin.on("error", () => {});
  child.stdin.write(input);
  return new Promise((resolve) =>
    child.on("close", (code) => {
      child.stdin.destroy();
      resolve(code);
    }),
  );
}

needs("docker", "root")("a step whose input has no end", () => {
  let dir: string;
  let image: string;

  beforeAll(async () => {
    const docker = "unix:///var/run/docker.sock";
    image = (await buildRecipes(["edge"], { projectDir: packageDir, docker, log: () => {} })).edge!;
    dir = mkdtempSync(join(tmpdir(), "gpubox-input-"));
  }, 300_000);
  afterAll(() => rmSync(dir, { recursive: true }));

  test("writes a directory's files", async () => {
    const plan = directory(join(dir, "edge"), 99, { "a.cfg": { text: [".\n"], mode: "0640" } }, {});
    const script = writeDirectory(image, dir, plan);
    expect(await withOpenInput("sh", ["-c", script], directoryInput(plan, {}))).toBe(0);
    expect(readFileSync(join(dir, "edge/a.cfg"), "utf8")).toBe(".\n");
  });

  test.each([0, 1])("looks for the space of %i model files", async (files) => {
    const plan = testPlan({ host: { dataDir: dir }, models: tinyModel });
    plan.edge.container.image = image;
    const fetches = Array.from({ length: files }, () => ({ bytes: 1, path: join(dir, "model") }));
    plan.backends[0]!.weights = [{ name: "weights", script: "", fetches }];
    const { script, stdin } = planSpace(plan);
    expect(await withOpenInput("sh", ["-c", script], renderText(stdin!, {}))).toBe(0);
  });

  test("brings the canned model", async () => {
    const models = { tiny: { engine: "llamacpp", model: "canned", memoryMiB: 512 } };
    const plan = testPlan({ host: { dataDir: dir }, models });
    const { script, stdin } = plan.backends[0]!.weights[0]!;
    const command = script.replaceAll(plan.edge.container.image, image);
    expect(await withOpenInput("sh", ["-c", command], renderText(stdin!, {}))).toBe(0);
    expect(existsSync(join(dir, "models/canned-1.gguf"))).toBe(true);
  });
});

test.each(["weights/fetch.py", "jobs/upstream.py"])(
  "%s reads its lines and waits for no end",
  async (script) => {
    expect(await withOpenInput("python3", [join(packageDir, "assets", script)], "no JSON\n\n")).not.toBe(0);
  },
);

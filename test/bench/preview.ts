import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { packageDir } from "../../platform/project";
import { editStack } from "../support/box";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { median, seconds, slope, table, verdict } from "./figures";
import { makeStack, type Program, pulumi } from "./pulumi";

const BAR = 1.5;
export const SIZES = [1, 10, 50, 100];

/**
 * How long `pulumi preview` takes with nothing to do, for boxes of several sizes, against a program that only loads the same
 * providers; they take turns.
 */
export async function benchPreview(
  { stack, port, runs, sizes }: { stack: string; port: number; runs: number; sizes: number[] },
  say: (line: string) => void,
) {
  const empty = await emptyProgram();
  const box = makeProject(stack, port, { models: models(sizes[0]!) });
  try {
    const up = await gpubox(box, "up", "--yes");
    if (up.code !== 0) throw new Error(`gpubox up failed:\n${up.stdout}\n${up.stderr}`);
    const rows: string[][] = [];
    const points: [number, number][] = [];
    const ratios: number[] = [];
    for (const size of sizes) {
      await grow(box, size);
      const times: number[] = [];
      const emptyTimes: number[] = [];
      for (let run = 0; run < runs; run++) {
        emptyTimes.push(await preview(empty));
        times.push(await preview(box));
      }
      const [own, bare] = [median(times), median(emptyTimes)];
      points.push([size, own]);
      ratios.push(own / bare);
      rows.push([String(size), seconds(own), seconds(bare), (own / bare).toFixed(2)]);
      say(`  ${size} models: ${seconds(own)} s`);
    }
    say(`\n${table(["models", "preview, s", "empty program, s", "ratio"], rows)}`);
    if (points.length > 1) say(`\neach model adds ${slope(points).toFixed(1)} ms`);
    say(`preview / empty program, the worst: ${verdict(Math.max(...ratios), BAR)}`);
    return points.map(([models, ms], index) => ({ models, ms, ratio: ratios[index]! }));
  } finally {
    removeProject(box);
    rmSync(empty.dir, { recursive: true });
  }
}

/** Models that `up` asks nothing, so that no backend is needed. */
function models(count: number): Record<string, unknown> {
  const model = { engine: "openai", baseUrl: "http://host.docker.internal:9/v1", start: "manual" };
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`model-${index + 1}`, model]));
}

async function grow(box: TestProject, count: number): Promise<void> {
  editStack(box, (config) => Object.assign(config, { "gpubox:models": models(count) }));
  await pulumi(box, ["up", "--yes", "--skip-preview"]);
}

async function preview(program: Program): Promise<number> {
  const { began, ended } = await pulumi(program, ["preview", "--expect-no-changes"]);
  return ended - began;
}

const EMPTY = `import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";

new docker.Provider("docker", { host: "unix:///var/run/docker.sock" });
new local.Command("nothing", { create: "true" });
`;

/** The least program that needs both providers, started as this project's own is: so it has its name, by which that finds its parts. */
export async function emptyProgram(): Promise<Program> {
  const dir = mkdtempSync(join(tmpdir(), "gpubox-bench-empty-"));
  const stack = "empty";
  const { runtime } = parse(readFileSync(join(packageDir, "Pulumi.yaml"), "utf8")) as {
    runtime: unknown;
  };
  writeFileSync(
    join(dir, "Pulumi.yaml"),
    stringify({ name: "empty", runtime, main: "index.ts", backend: { url: "file://.gpubox/state" } }),
  );
  const { name, exports } = JSON.parse(readFileSync(join(packageDir, "package.json"), "utf8"));
  writeFileSync(join(dir, "package.json"), JSON.stringify({ name, exports, main: "index.ts" }));
  symlinkSync(join(packageDir, "bin"), join(dir, "bin"));
  writeFileSync(join(dir, `Pulumi.${stack}.yaml`), "config: {}\n");
  writeFileSync(join(dir, "index.ts"), EMPTY);
  symlinkSync(join(packageDir, "node_modules"), join(dir, "node_modules"));
  const program = { dir, stack, env: {} };
  await makeStack(program);
  await pulumi(program, ["up", "--yes", "--skip-preview"]);
  return program;
}

import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { recipeReference } from "../../platform/stack/recipes";
import { cannedSafetensors } from "../../tools/cannedSafetensors";
import { scratch } from "../support/allocate";
import { editStack, exportsIn, masterKeyOf } from "../support/box";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { writeRepository } from "../support/repository";
import { Load, type Tally } from "./client";

/** Seconds that a load of it may take on a busy machine. */
export const READY_SECONDS = 540;

type Models = Record<string, Record<string, unknown>>;

/** What clients of a model lost. */
type Lost = Pick<Tally, "requests" | "failed" | "cut" | "wrong" | "reasons">;

/** What clients lose of a change that nobody may notice. */
export const nothing = { requests: expect.any(Number), failed: 0, cut: 0, wrong: 0, reasons: [] };

/** A box with models that the real vLLM serves, each of which says who it is. */
export class VllmBox {
  /** Images of vLLM that differ from the recipe's, by tag. A registry that never answers: each is taken as it is here. */
  readonly repository: string;
  readonly folder: string;
  project!: TestProject;
  key = "";
  private tags: string[] = [];

  constructor(
    private readonly stack: string,
    private readonly port: number,
  ) {
    this.repository = `localhost:1/${stack}/vllm`;
    this.folder = scratch(`${stack}-models`);
    chmodSync(this.folder, 0o755);
  }

  /**
   * Brings it up.
   * @param models what each has beside {@link entry}, by name
   */
  async open(models: Models, sections: Record<string, unknown> = {}): Promise<void> {
    const entries = Object.entries(models).map(([name, more]) => [name, { ...this.entry(name), ...more }]);
    this.project = makeProject(this.stack, this.port, { ...sections, models: Object.fromEntries(entries) });
    const stdout = await this.succeeds();
    this.key = await masterKeyOf(this.project, exportsIn(stdout));
  }

  /**
   * An image of {@link repository}.
   * @param change what a Dockerfile does to the recipe's
   */
  async makeImage(tag: string, change: string): Promise<void> {
    const stdin = `FROM ${recipeReference(this.project.dir, "vllm-cpu")}\n${change}\n`;
    this.tags.push(tag);
    await output("docker", ["build", "--tag", `${this.repository}:${tag}`, "-"], { stdin });
  }

  async close(): Promise<void> {
    if (this.project) removeProject(this.project);
    rmSync(this.folder, { recursive: true });
    for (const tag of this.tags) await run("docker", ["image", "rm", `${this.repository}:${tag}`]);
  }

  container(model: string): string {
    return `gpubox-${this.stack}-backend-${model}`;
  }

  words(model: string): string {
    return `this is ${model}`;
  }

  /** Writes a model to the host that says who it is; its source for the stack's config. */
  weights(name: string, says = this.words(name)): string {
    return writeRepository(join(this.folder, name), cannedSafetensors({ answer: says }));
  }

  edit(change: (models: Models) => void): void {
    editStack(this.project, (config) =>
      change((config as unknown as Record<string, Models>)["gpubox:models"]!),
    );
  }

  up() {
    return gpubox(this.project, "up", "--yes");
  }

  async succeeds(): Promise<string> {
    const { code, stdout, stderr } = await this.up();
    expect(code === 0 ? "" : stdout + stderr).toBe("");
    return stdout;
  }

  /** What the clients of some models lose while something happens. `happens` may excuse what is in flight at its blow. */
  async meanwhile(
    models: string[],
    happens: (loads: Record<string, Load>) => Promise<unknown>,
    shorts = 2,
  ): Promise<Record<string, Lost>> {
    const loads: Record<string, Load> = {};
    for (const model of models) {
      const habits = { shorts, streams: 0, expected: this.words(model), silenceMs: READY_SECONDS * 1000 };
      // On two cores the clients' own answers would keep a server from loading.
      const target = { endpoint: this.project.endpoint, key: this.key, model, pauseMs: 1000 };
      loads[model] = await new Load({ ...target, ...habits }).start();
    }
    const lost: Record<string, Lost> = {};
    try {
      await happens(loads);
    } finally {
      for (const [model, load] of Object.entries(loads)) {
        const { requests, failed, cut, wrong, reasons, excused, longestWait } = await load.stop();
        console.info(JSON.stringify({ model, requests, failed, cut, wrong, excused, longestWait, reasons }));
        lost[model] = { requests, failed, cut, wrong, reasons };
      }
    }
    return lost;
  }

  private entry(name: string) {
    return {
      // The CPU's kernels for 16 bits need AMX with eager mode.
      ...{ engine: "vllm", dtype: "float32", enforceEager: true, memoryMiB: 3072, maxModelLen: 8192 },
      ...{ kvCacheMemoryBytes: 64 * 2 ** 20, readySeconds: READY_SECONDS, holdSeconds: READY_SECONDS },
      model: this.weights(name),
    };
  }
}

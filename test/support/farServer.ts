import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { cannedModel } from "../../tools/cannedModel";
import type { TestProject } from "./project";

/** A model server that a box does not run, and that wants a key. */
export class FarServer {
  readonly key = "sk-far-0123456789abcdefghij";
  readonly answer = "hello from far away";
  private readonly name: string;

  constructor(stack: string) {
    this.name = `gpubox-${stack}-far`;
  }

  /** Its root, as gateways of the stack reach it. */
  get url(): string {
    return `http://${this.name}:9000`;
  }

  /** Starts it beside a box that is up. */
  async start({ dir, stack }: TestProject): Promise<void> {
    const model = join(dir, "far.gguf");
    writeFileSync(model, cannedModel({ answer: this.answer }), { mode: 0o644 });
    await output("docker", [
      ...[
        "run",
        "-d",
        "--name",
        this.name,
        "--network",
        `gpubox-${stack}-edge`,
        "-v",
        `${model}:/far.gguf:ro`,
      ],
      ...["--entrypoint", "/app/llama-server", recipeReference(packageDir, "llamacpp")],
      ...["--model", "/far.gguf", "--alias", "far-name", "--host", "0.0.0.0", "--port", "9000"],
      ...["--api-key", this.key],
    ]);
  }

  async remove(): Promise<void> {
    await run("docker", ["rm", "-f", this.name]);
  }
}

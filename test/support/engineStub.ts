import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { scratch } from "./allocate";

/** What a stub of an engine says of itself. */
export interface EngineSaid {
  /** Its command line, without the program. */
  argv: string[];
  /** Paths of the command line, of two parts or more, that are no files in its container. */
  missing: string[];
  /** Clients that wait for an answer. */
  waiting: number;
}

/** The programs by which gpubox starts llama.cpp, vLLM and SGLang, and the driver's tool, which sees every GPU that was asked for. */
const DOCKERFILE = `ARG BASE
FROM \${BASE}
COPY stub.py /stub/stub.py
COPY stub.py /stub/sglang/launch_server.py
RUN mv /app/llama-server /app/real-llama-server \\
 && for program in /app/llama-server /usr/local/bin/vllm; do \\
      printf '#!/bin/sh\\nexec /usr/bin/python3 /stub/stub.py "$@"\\n' > $program && chmod 0755 $program; done \\
 && printf '#!/bin/sh\\nfor i in $(seq "$GPUBOX_GPUS"); do echo "GPU $i: stub (UUID: $i)"; done\\n' > /usr/local/bin/nvidia-smi \\
 && chmod 0755 /usr/local/bin/nvidia-smi \\
 && touch /stub/sglang/__init__.py
ENV PYTHONPATH=/stub
`;

/** An image of engineStub.py, which takes the place of an engine's own. */
export class EngineStub {
  /** For an entry's `image`. No registry has it: it is taken as it is here. */
  readonly image: { repository: string; tag: string };

  constructor(stack: string) {
    this.image = { repository: `localhost:1/${stack}/engine`, tag: "v1" };
  }

  /** Needs the image of llama.cpp's recipe, for its Python. */
  async build(): Promise<void> {
    const context = scratch("engine-stub");
    cpSync(join(packageDir, "test/support/engineStub.py"), join(context, "stub.py"));
    writeFileSync(join(context, "Dockerfile"), DOCKERFILE);
    const base = `BASE=${recipeReference(packageDir, "llamacpp")}`;
    await output("docker", ["build", "--quiet", "--build-arg", base, "--tag", this.reference, context]);
  }

  async remove(): Promise<void> {
    await run("docker", ["image", "rm", this.reference]);
  }

  private get reference(): string {
    return `${this.image.repository}:${this.image.tag}`;
  }
}

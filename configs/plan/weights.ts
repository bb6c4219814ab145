import type { LockedModel } from "../models/facts";
import { hashOf, shellQuote } from "./text";
import type { StepPlan, TextPart } from "./types";

/** The secret that a private or gated model's download needs; used when the stack declares it. */
export const HUB_TOKEN = "hfToken";

/** What the download of a locked model needs, whichever the model. */
export interface LockedDownload {
  /** Whether the stack has the secret {@link HUB_TOKEN}. */
  hasToken: boolean;
  /** An image with python3 that every box has: the gateway's. */
  image: string;
  /** Text of assets/weights/fetch.py. */
  fetchScript: string;
}

export interface WeightsOptions extends LockedDownload {
  /** Directory on the host that holds the models of all backends. */
  modelsDir: string;
  /** `owner/name` on the hub. */
  repo: string;
  model: Pick<LockedModel, "revision" | "files">;
  /** Base URL of the hub. Default: https://huggingface.co. */
  endpoint?: string;
  /** Seconds between two lines of progress. Default 5. */
  progressSeconds?: number;
}

/** Where a model of the hub lies on the host. It is named by its commit, so that nothing in it ever changes. */
export function weightsDirectory(modelsDir: string, repo: string, revision: string): string {
  return `${modelsDir}/hf/${repo}/${revision}`;
}

/**
 * The step that brings a locked model to the host: bytes, speed and time left are its output, and the disk is looked at
 * before. Models of one repository and commit that need the same files share the step by its name.
 */
export function weightsStep(options: WeightsOptions): StepPlan {
  const { modelsDir, repo, model, image, hasToken } = options;
  const manifest = {
    endpoint: options.endpoint ?? "https://huggingface.co",
    repo,
    revision: model.revision,
    directory: weightsDirectory(modelsDir, repo, model.revision),
    files: model.files,
    progressSeconds: options.progressSeconds ?? 5,
  };
  const token: TextPart[] = hasToken ? [{ secret: HUB_TOKEN, as: "raw" }, "\n"] : [];
  return {
    name: `weights-${hashOf(manifest).slice(0, 8)}`,
    script: [
      ...["docker run --rm -i --user 0 --label", `gpubox.weights=${repo}`],
      ...["--entrypoint python3 -v", `${modelsDir}:${modelsDir}`],
      ...[image, "-c", shellQuote(options.fetchScript)],
    ].join(" "),
    stdin: [`${JSON.stringify(manifest)}\n`, ...token],
  };
}

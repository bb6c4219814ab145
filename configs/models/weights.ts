import type { StepPlan } from "../kit/containerPlan";
import { STEP_LIMIT } from "../kit/processes";
import { hashOf, shellQuote, type TextPart } from "../kit/text";
import type { LockedFile } from "./facts";
import type { RepositoryFiles } from "./repository";

/** The secret that a private or gated model's download needs; used when the stack declares it. */
export const HUB_TOKEN = "hfToken";

/** What every download needs, whichever the model. */
export interface Downloader {
  /** Whether the stack has the secret {@link HUB_TOKEN}. */
  hasToken: boolean;
  /** An image with python3 that every box has: the gateway's. */
  image: string;
  /** Text of assets/weights/fetch.py. */
  fetchScript: string;
  /** Base URL of the hub. */
  endpoint: string;
}

/**
 * The files to download: those in the lock, with their sizes; or, for an unlocked revision, these paths or all files of this
 * kind as the hub has them at the first download.
 */
export type Wanted =
  | { revision: string; files: LockedFile[] }
  | { revision: string; paths: string[] }
  | ({ revision: string } & RepositoryFiles);

export interface WeightsOptions extends Downloader {
  /** Directory on the host that holds the models of all backends. */
  modelsDir: string;
  /** `owner/name` on the hub. */
  repo: string;
  wanted: Wanted;
  /** Seconds between two lines of progress. Default 5. */
  progressSeconds?: number;
}

/** Pulumi shows a failed step's command. The program comes on standard input, so that it does not bury the reason. */
const RUN_FIRST_LINE = "import json, sys; exec(json.loads(sys.stdin.readline()))";

/** Where a model of the hub lies on the host. A locked one is named by its commit, so that nothing in it ever changes. */
export function weightsFolder(modelsDir: string, repo: string, revision: string): string {
  return `${modelsDir}/hf/${repo}/${revision}`;
}

/**
 * The step that downloads a repository's files to the host. It checks the disk's free space first, and prints bytes, speed and
 * time left. Models that need the same files of one repository and commit share the step by its name.
 */
export function weightsStep(options: WeightsOptions): StepPlan {
  const { modelsDir, repo, image, hasToken } = options;
  const { revision, ...wanted } = options.wanted;
  const manifest = {
    endpoint: options.endpoint,
    repo,
    revision,
    directory: weightsFolder(modelsDir, repo, revision),
    ...wanted,
    progressSeconds: options.progressSeconds ?? 5,
  };
  const fetches = "files" in options.wanted ? options.wanted.files : [];
  const token: TextPart[] = hasToken ? [{ secret: HUB_TOKEN, as: "raw" }, "\n"] : ["\n"];
  return {
    name: `weights-${hashOf(manifest).slice(0, 8)}`,
    script: [
      ...["docker run --rm -i --user 0", STEP_LIMIT, "--label", `gpubox.weights=${repo}`],
      ...["--entrypoint python3 -v", `${modelsDir}:${modelsDir}`],
      ...[image, "-c", shellQuote(RUN_FIRST_LINE)],
    ].join(" "),
    fetches: fetches.map(({ path, bytes }) => ({ path: `${manifest.directory}/${path}`, bytes })),
    inside: {
      ...{ image, command: ["python3", "-c", RUN_FIRST_LINE] },
      ...{ directory: manifest.directory, loads: true },
    },
    stdin: [`${JSON.stringify(options.fetchScript)}\n`, `${JSON.stringify(manifest)}\n`, ...token],
  };
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { z } from "zod";
import { STEP_LIMIT } from "../../configs/kit/processes";
import type { BoxPlan } from "../../configs/kit/types";
import { dockerArguments } from "../../platform/docker/client";
import { parseJson } from "../../platform/json";
import { UserError } from "../../platform/process";
import { loadAssets } from "../../platform/stack/assets";
import type { BenchCase } from "./cases";
import { sampleSchema } from "./figures";

/** What assets/bench/load.py takes. */
export interface LoadSettings {
  address: [host: string, port: number];
  /** The name of the certificate; null for plain HTTP. */
  tls: string | null;
  /** What requests say as Host. */
  host: string;
  /** The key of a client. It travels on standard input only. */
  key: string | null;
  path: "/v1/chat/completions" | "/v1/completions";
  /** What each request says beside its prompt. */
  body: Record<string, unknown>;
  /** Seconds after which the load ends, done or not. */
  seconds: number;
  /** Seconds of silence after which a request is given up. */
  requestSeconds: number;
  cases: BenchCase[];
}

const failed = z.object({ began: z.number(), ended: z.number(), error: z.string() });

/** A line of assets/bench/load.py. */
export const loadEvent = z.union([
  z.object({ calibrated: z.object({ tokensPerWord: z.number(), overheadTokens: z.number() }) }),
  z.object({ case: z.number(), refused: z.string() }),
  z.object({ case: z.number(), cut: z.boolean(), samples: z.array(z.union([sampleSchema, failed])) }),
  z.object({ ended: z.enum(["done", "stopped", "time", "refused"]), said: z.string().optional() }),
]);

export type LoadEvent = z.infer<typeof loadEvent>;

/** Memory of the load's container, MiB. Measured: 24 with 64 requests at a time. */
const MEMORY_MIB = 512;

/** uid and gid of nobody: the script opens sockets and nothing else. */
const NOBODY = "65534:65534";

/** Name of the container of a stack's load. Docker lets a name in once, so a box has one load at a time. */
export function loadContainer(stack: string): string {
  return `gpubox.bench.${stack}`;
}

/**
 * Arguments of `docker` for the load's container. It shares the network of the edge's container: its requests meet the clients'
 * listener as every client's do, and no port proxy, tunnel or address of the host is in the figures.
 */
export function loadArguments({ stack, prefix, gateway }: BoxPlan, script: string): string[] {
  return [
    ...["run", "--rm", "-i", "--name", loadContainer(stack), "--network", `container:${prefix}-edge`],
    ...["--user", NOBODY, "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
    ...[...STEP_LIMIT.split(" "), "--memory", `${MEMORY_MIB}m`, "--log-driver", "none"],
    ...["--entrypoint", "python3", gateway.container.image, "-c", script],
  ];
}

/**
 * Runs a load on the box's host and hands its lines on as they come. `signal` ends it: the script closes what is open, and says what
 * it has.
 *
 * @throws UserError when its container cannot run, and when it ended without a word
 */
export async function runLoad(
  box: BoxPlan,
  settings: LoadSettings,
  { signal, onEvent }: { signal: AbortSignal; onEvent: (event: LoadEvent) => void },
): Promise<void> {
  const script = loadAssets()["bench/load.py"]!;
  const child = spawn("docker", dockerArguments(box.docker, loadArguments(box, script)), {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let words = "";
  child.stderr.on("data", (part: Buffer) => {
    words = `${words}${part}`.slice(-2_000);
  });
  child.stdin.on("error", () => {});
  // It stays open: its end would end the load, and so does the end of this process.
  child.stdin.write(`${JSON.stringify(settings)}\n`);
  const end = () => child.kill("SIGINT");
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  let ended = false;
  createInterface({ input: child.stdout }).on("line", (line) => {
    const event = loadEvent.safeParse(parseJson(line));
    if (!event.success) return;
    ended ||= "ended" in event.data;
    if (ended) child.stdin.end();
    onEvent(event.data);
  });
  const [code] = await Promise.race([
    once(child, "close"),
    once(child, "error").then(() => [127] as const),
  ]).finally(() => signal.removeEventListener("abort", end));
  if (!ended && !signal.aborted) throw failure(box, Number(code), words);
}

function failure({ stack, prefix }: BoxPlan, code: number, words: string): UserError {
  if (/is already in use by container/.test(words))
    return new UserError(
      `Another load runs on the box of ${stack}: the container ${loadContainer(stack)}.`,
      "Wait for it; two at a time would measure each other.",
    );
  const last = words.trim().split("\n").at(-1) || `exit code ${code}`;
  return new UserError(
    `The load could not run beside ${prefix}-edge: ${last}`,
    `Run \`gpubox doctor --stack ${stack}\`.`,
  );
}

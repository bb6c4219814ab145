import { z } from "zod";
import type { Mode } from "../schema/model";

/** Seconds that requests may wait without a sign of the engine's work until it is asked for a token. */
const HANG_SECONDS = 60;

/** The key of an entry whose engine tells by its metrics whether it works. */
export const hangSeconds = z
  .int()
  .min(0)
  .max(3600)
  .optional()
  .describe(
    "Seconds that requests may wait while its metrics show no work; then it is asked for one token and gets as long again, and else it is started again. 0: nobody watches. Default: 60.",
  );

/** How it is told that an engine hangs although it passes its health check. */
export interface EngineWatch {
  seconds: number;
  port: number;
  /** Path of its metrics. */
  metricsPath: string;
  /** Names of those that change while it works, and only then: not with a client that hangs up. */
  signs: string[];
  /** The request for one token. */
  path: string;
  body: string;
}

/** Requests for one token, by what a model is asked for. Others are not watched. */
const ONE_TOKEN: { [Kind in Mode]?: { path: string; body: object } } = {
  chat: { path: "/v1/completions", body: { prompt: ".", max_tokens: 1 } },
  completion: { path: "/v1/completions", body: { prompt: ".", max_tokens: 1 } },
  embedding: { path: "/v1/embeddings", body: { input: "." } },
};

/**
 * What the engine's container gets to be watched; undefined where nothing tells that it hangs.
 *
 * @param name the model's name at the server
 * @param signs see {@link EngineWatch}
 */
export function watchOf(
  { mode, hangSeconds: seconds = HANG_SECONDS }: { mode: Mode; hangSeconds?: number },
  { name, port }: { name: string; port: number },
  signs: string[],
): EngineWatch | undefined {
  const ask = ONE_TOKEN[mode];
  if (!ask || seconds === 0) return undefined;
  const body = JSON.stringify({ model: name, ...ask.body });
  return { seconds, port, metricsPath: "/metrics", signs, path: ask.path, body };
}

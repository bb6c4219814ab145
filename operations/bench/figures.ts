import { z } from "zod";
import type { BenchCase } from "./cases";

/** One whole streamed answer; times in seconds from the load's start. */
export const sampleSchema = z.object({
  began: z.number(),
  /** When the first and the last piece with text had arrived. */
  first: z.number(),
  last: z.number(),
  /** When the stream had ended. */
  ended: z.number(),
  /** Pieces with text. A piece may hold several tokens, or a part of one. */
  pieces: z.number(),
  /** Tokens by the server's `usage`; `cached` is null where it does not say. */
  prompt: z.number(),
  cached: z.number().nullish(),
  output: z.number(),
});

export type Sample = z.infer<typeof sampleSchema>;

const spread = z.object({ p50: z.number(), p99: z.number() });

/** What a case showed. */
export const figuresSchema = z.object({
  concurrency: z.number(),
  promptTokens: z.number(),
  outputTokens: z.number(),
  requests: z.number(),
  shared: z.boolean(),
  /** Whole answers, and requests without one. */
  answered: z.number(),
  failed: z.number(),
  /** Tokens of a request and of an answer as the server counts them, means. */
  promptCounted: z.number(),
  outputCounted: z.number(),
  /** Percent of the prompts' tokens that a prefix cache had; null where the server does not say. */
  cachedPercent: z.number().nullable(),
  /** Milliseconds from the request to its first piece with text. */
  firstTokenMs: spread,
  /** Milliseconds between two tokens of an answer: its time after the first, by its other tokens. Null without answers of two. */
  interTokenMs: spread.nullable(),
  /** Output tokens a second, all requests together. */
  tokensPerSecond: z.number(),
});

export type CaseFigures = z.infer<typeof figuresSchema>;

/**
 * The smallest value that `part` of all values do not exceed (nearest rank). Of 16 values the 99th percentile is the largest.
 *
 * @throws Error without a value
 */
export function percentile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
  if (value === undefined) throw new Error("there is no percentile of nothing");
  return value;
}

/** The figures of a case; undefined where no request was answered. */
export function figuresOf(one: BenchCase, samples: Sample[], failed: number): CaseFigures | undefined {
  if (samples.length === 0) return undefined;
  const sum = (of: (sample: Sample) => number) => samples.reduce((total, sample) => total + of(sample), 0);
  const output = sum((sample) => sample.output);
  const prompt = sum((sample) => sample.prompt);
  const seconds =
    Math.max(...samples.map(({ ended }) => ended)) - Math.min(...samples.map(({ began }) => began));
  const gaps = samples
    .filter((sample) => sample.output > 1)
    .map((sample) => ((sample.last - sample.first) * 1000) / (sample.output - 1));
  const counts = samples.every(({ cached }) => typeof cached === "number");
  return {
    ...one,
    ...{ answered: samples.length, failed },
    promptCounted: rounded(prompt / samples.length, 1),
    outputCounted: rounded(output / samples.length, 1),
    cachedPercent: counts ? rounded((100 * sum(({ cached }) => cached ?? 0)) / Math.max(prompt, 1), 1) : null,
    firstTokenMs: spreadOf(samples.map(({ began, first }) => (first - began) * 1000)),
    interTokenMs: gaps.length > 0 ? spreadOf(gaps) : null,
    tokensPerSecond: rounded(output / Math.max(seconds, 1e-6), 2),
  };
}

function spreadOf(values: number[]): z.infer<typeof spread> {
  return { p50: rounded(percentile(values, 0.5), 3), p99: rounded(percentile(values, 0.99), 3) };
}

function rounded(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}

import { distance } from "fastest-levenshtein";
import type { PolicyName } from "../schema/policy";
import { visible } from "./visible";

/** One mistake in a stack config, as its author reads it. */
export interface Problem {
  /** Where: `gpubox:models.qwen3.baseUrl`. */
  path: string;
  /** One sentence: what is wrong. */
  what: string;
  /** Lines between the two that show how it came to that, for example a sum. */
  details?: string[];
  /** One sentence: what would be right. */
  fix: string;
  /** Sentences: what else would be right. */
  others?: string[];
  /** What this was judged by, beside the place itself: with a mistake there, it may be no mistake. */
  judgedBy?: JudgedBy;
}

/** Parts of a stack config. */
export interface JudgedBy {
  /** Paths of sections or of keys in them: `gpubox:host.gpus`. */
  paths?: string[];
  /** A model by one of its names. */
  model?: string;
}

/** What went wrong and what to do about it, one sentence each. */
export interface Failure {
  what: string;
  fix: string;
}

/** A part of a config or plan that breaks a policy. */
export interface Violation {
  policy: PolicyName;
  /** Key of the stack config, or the container. */
  path: string;
  /** One sentence: what is wrong. Never a secret's value. */
  what: string;
  /** One sentence: what would be right. */
  fix: string;
  /** True when the config declares it on purpose: it causes a warning even if the policy refuses other violations. */
  mild?: true;
}

/** A violation with its severity. */
export interface PolicyFinding extends Violation {
  severity: "refused" | "warned" | "waived";
  /** Why it is waived, as the config says. */
  reason?: string;
}

/** The candidate that a typo most likely meant, if any is near: at most a third of its letters differ. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const d = distance(word.toLowerCase(), candidate.toLowerCase());
    if (d < bestDistance) [best, bestDistance] = [candidate, d];
  }
  return best !== undefined && bestDistance <= Math.max(1, Math.ceil(best.length / 3)) ? best : undefined;
}

/** `Did you mean "port"?`, or the whole choice where nothing is near. */
export function suggestion(word: string, candidates: string[]): string {
  const near = nearest(word, candidates);
  return near === undefined ? `Use one of: ${candidates.join(", ")}.` : `Did you mean "${near}"?`;
}

/** All mistakes of a stack config at once. Its message is the text for the terminal. */
export class ConfigError extends Error {
  constructor(
    stack: string,
    readonly problems: Problem[],
  ) {
    const count = problems.length === 1 ? "1 mistake" : `${problems.length} mistakes`;
    const lines = problems.flatMap(({ path, what, details, fix, others = [] }) =>
      [
        ...(details ? [`  ${path}: ${what}`, ...details, `    ${fix}`] : [`  ${path}: ${what} ${fix}`]),
        ...others.map((other) => `    Or: ${other}`),
      ].map(visible),
    );
    super(`Pulumi.${visible(stack)}.yaml has ${count}:\n${lines.join("\n")}`);
    this.name = "ConfigError";
  }
}

import type { BoxPlan } from "../../configs/kit/types";
import { bracketed } from "../../configs/network/addresses";
import { CLIENT_PORT } from "../../configs/plan/haproxy/edge";
import type { StackConfig } from "../../configs/stack/config";
import { UserError } from "../../platform/process";
import type { Secrets } from "../../platform/stack/secrets";
import type { BenchCase } from "./cases";
import { type CaseFigures, figuresOf, type Sample } from "./figures";
import { type LoadEvent, type LoadSettings, runLoad } from "./runLoad";
import type { BenchTarget } from "./target";

/** Seconds of silence after which a request is given up: the longest that LiteLLM allows one, unless the config says otherwise. */
const SILENT_SECONDS = 600;

/** A box, and how clients of it ask. */
export interface BenchBox {
  plan: BoxPlan;
  config: StackConfig;
  secrets: Secrets;
}

export interface Measuring {
  cases: BenchCase[];
  /** Seconds after which the load ends, done or not. */
  seconds: number;
  signal: AbortSignal;
  /** Gets the figures of each case as it ends. */
  onFigures?: (figures: CaseFigures) => void;
}

export interface Measured {
  cases: CaseFigures[];
  /** A sentence for each case without figures. */
  notes: string[];
  /** True where the load was ended before its last case. */
  ended: boolean;
}

/**
 * Measures a model through the box's edge, from a container on its host.
 *
 * @throws UserError when no load runs, or the model answers nothing
 */
export async function measure(
  box: BenchBox,
  target: BenchTarget,
  { cases, seconds, signal, onFigures }: Measuring,
): Promise<Measured> {
  const events: LoadEvent[] = [];
  const measured: Measured = { cases: [], notes: [], ended: false };
  const onEvent = (event: LoadEvent) => {
    events.push(event);
    if (!("case" in event)) return;
    const one = cases[event.case];
    if (!one) return;
    if ("refused" in event) measured.notes.push(`${caseWords(one)}: not measured: ${event.refused}`);
    else if (event.cut) measured.ended = true;
    else {
      const errors = event.samples.flatMap((sample) => ("error" in sample ? [sample.error] : []));
      const samples = event.samples.filter((sample): sample is Sample => !("error" in sample));
      const figures = figuresOf(one, samples, errors.length);
      if (figures) measured.cases.push(figures);
      if (figures) onFigures?.(figures);
      if (errors.length > 0)
        measured.notes.push(
          `${caseWords(one)}: ${errors.length} of ${event.samples.length} requests failed: ${errors[0]}`,
        );
    }
  };
  await runLoad(box.plan, settingsFor(box, target, cases, seconds), { signal, onEvent });
  const end = events.flatMap((event) => ("ended" in event ? [event] : []))[0];
  if (end?.ended === "refused")
    throw new UserError(
      `${target.name} gave no answer to measure: ${end.said}.`,
      `Run \`gpubox smoke --stack ${box.plan.stack}\`, which asks it as clients do.`,
    );
  if (end?.ended !== "done") measured.ended = true;
  const left =
    cases.length - events.filter((event) => "case" in event && !("cut" in event && event.cut)).length;
  if (measured.ended && left > 0)
    measured.notes.push(
      `${left} of ${cases.length} cases: not measured: ${end?.ended === "time" ? `the ${seconds} s of --seconds were over` : "the load was stopped"}`,
    );
  return measured;
}

/** What the load asks, and how it gets in. */
export function settingsFor(
  { config, secrets }: Pick<BenchBox, "config" | "secrets">,
  { name, path, goesOn }: BenchTarget,
  cases: BenchCase[],
  seconds: number,
): LoadSettings {
  const { auth, hosts, tls } = config.gateway;
  return {
    address: ["127.0.0.1", CLIENT_PORT],
    tls: tls ? (hosts[0] ?? "localhost") : null,
    host: tls && hosts[0] ? bracketed(hosts[0]) : "localhost",
    key: auth === "key" ? (secrets.masterKey ?? null) : null,
    path,
    body: {
      model: name,
      temperature: 0,
      // An answer of the cache has no speed, and nobody wants those of a load.
      cache: { "no-cache": true, "no-store": true },
      ...(goesOn ? { ignore_eos: true } : {}),
    },
    seconds,
    requestSeconds: Math.max(SILENT_SECONDS, config.models[name]?.timeoutSeconds ?? 0),
    cases,
  };
}

function caseWords({ concurrency, promptTokens }: BenchCase): string {
  return `${concurrency} at a time, prompts of ${promptTokens} tokens`;
}

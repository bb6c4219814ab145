import { suggestion } from "../../configs/kit/problems";
import type { BoxPlan } from "../../configs/kit/types";
import { startCommand } from "../../configs/plan/manual";
import type { StackConfig } from "../../configs/stack/config";
import { instancesOf, namesOf, throughGateway } from "../../configs/stack/instances";
import { UserError } from "../../platform/process";
import type { ModelStatus } from "../models/status";
import type { Admitted } from "./cases";

/** A model whose speed can be measured. */
export interface BenchTarget {
  /** Its public name. */
  name: string;
  path: "/v1/chat/completions" | "/v1/completions";
  /** True: its server goes on to the last token that it may make, where it is told so. */
  goesOn: boolean;
}

/** Engines that know `ignore_eos`. */
const GO_ON = ["vllm", "sglang", "llamacpp"];

/**
 * The model that a person means.
 *
 * @param called its public name, or an alias
 * @throws UserError when there is none, and when it cannot be measured
 */
export function benchTarget(config: StackConfig, called: string): BenchTarget {
  const all = Object.entries(config.models);
  const found = all.find(([name, entry]) => [name, ...namesOf(name, entry)].includes(called));
  if (!found)
    throw new UserError(
      `The stack ${config.stack} has no model "${called}".`,
      all.length > 0
        ? suggestion(
            called,
            all.map(([name]) => name),
          )
        : "Add one under gpubox:models.",
    );
  const [name, entry] = found;
  if (entry.mode !== "chat" && entry.mode !== "completion")
    throw new UserError(
      `${name} has the mode ${entry.mode}, and only text that is streamed has a time to its first token.`,
      "Name a model with mode: chat or completion.",
    );
  if (!throughGateway(entry))
    throw new UserError(
      `No gateway serves ${name}: it has a port of its own only.`,
      "Name a model that clients of the box reach.",
    );
  const path = entry.mode === "chat" ? "/v1/chat/completions" : "/v1/completions";
  return { name, path, goesOn: GO_ON.includes(entry.engine) };
}

/**
 * Checks that a model's servers are on this box and answer.
 *
 * @param all the state of every model of the box
 * @returns sentences that a person should know of the figures
 * @throws UserError otherwise
 */
export function requireServing(
  { stack, endpoint }: Pick<BoxPlan, "stack" | "endpoint">,
  name: string,
  all: ModelStatus[],
): string[] {
  const own = all.filter(({ model }) => model === name);
  if (own.some(({ up }) => up === null))
    throw new UserError(
      `${name} is served elsewhere: its speed is no property of this box, and its tokens may cost money.`,
      "Measure it on the box that serves it, or name a model with a server here.",
    );
  // This machine may neither know the name that a certificate is for, nor trust its issuer; the load needs neither.
  if (own.every(({ listed }) => listed === null) && !endpoint.startsWith("https:"))
    throw new UserError(
      `The box of ${stack} does not answer at ${endpoint}.`,
      `Run \`gpubox doctor --stack ${stack}\`.`,
    );
  const serving = own.filter(({ up, loaded }) => up && loaded !== false);
  if (serving.length === 0) {
    const [{ state } = { state: "away" }] = own;
    throw new UserError(
      `${name} does not serve: ${state}.`,
      state === "loading"
        ? "Wait until `gpubox models status` says that it is loaded."
        : state === "not brought up"
          ? `Bring it up: gpubox up --stack ${stack}.`
          : `Start it: ${startCommand(stack, name)}.`,
    );
  }
  if (own.some(({ listed }) => listed === false))
    throw new UserError(
      `The gateway does not list ${name} yet.`,
      `Run \`gpubox up --stack ${stack}\`, which brings it to its clients.`,
    );
  return [
    ...(serving.length < own.length
      ? [`${serving.length} of its ${own.length} servers serve: the figures are theirs`]
      : []),
    ...(serving.some(({ loaded }) => loaded === null)
      ? ["it loads on demand: the load may have unloaded another model, and waits for it before it measures"]
      : []),
  ];
}

/** What a box admits to a model, of which `own` are the states. */
export function admittedTo(config: StackConfig, name: string, all: ModelStatus[]): Admitted {
  const entry = config.models[name];
  const instances = entry ? instancesOf(name, entry).map(({ model }) => model) : [];
  const total = (of: (model: (typeof instances)[number]) => number | undefined) => {
    const limits = instances.map(of);
    return limits.includes(undefined) ? undefined : limits.reduce<number>((sum, one) => sum + (one ?? 0), 0);
  };
  const bounds = [total(({ maxParallel }) => maxParallel), config.gateway.limits.maxParallel].filter(
    (bound) => bound !== undefined,
  );
  const busy = all
    .filter(({ model }) => model === name)
    .reduce((sum, { requestsNow }) => sum + (requestsNow ?? 0), 0);
  return {
    ...(bounds.length > 0 ? { atOnce: Math.min(...bounds) } : {}),
    busy,
    ...(total(({ rpm }) => rpm) === undefined ? {} : { rpm: total(({ rpm }) => rpm) }),
    ...(total(({ tpm }) => tpm) === undefined ? {} : { tpm: total(({ tpm }) => tpm) }),
  };
}

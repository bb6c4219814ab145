import { type Problem, suggestion } from "../kit/problems";
import { FALLBACKS } from "../schema/routing";
import type { StackConfig } from "../stack/config";
import { namesOf } from "../stack/instances";

/** Mistakes in how requests find their servers: fallbacks that name no model, go in a circle or cannot serve the request. */
export function checkRouting(config: StackConfig): Problem[] {
  return [
    ...checkFallbacks(config),
    ...checkDefaultFallbacks(config),
    ...checkTimes(config),
    ...checkAffinity(config),
  ];
}

/** Every name that clients may write, with the entry that it leads to. */
function entriesByName({ models }: StackConfig): Map<string, string> {
  return new Map(
    Object.entries(models).flatMap(([entry, model]) =>
      namesOf(entry, model).map((name) => [name, entry] as const),
    ),
  );
}

function notDeclared(path: string, name: string, names: Iterable<string>): Problem {
  const all = [...names];
  return {
    path,
    what: `It names the model "${name}", which is not declared.`,
    fix: all.length > 0 ? suggestion(name, all) : "Declare it under gpubox:models, or take it out here.",
    judgedBy: { model: name },
  };
}

/** A fallback to a missing model would fail only when it is needed. */
function checkFallbacks(config: StackConfig): Problem[] {
  const entries = entriesByName(config);
  return (Object.keys(FALLBACKS) as (keyof typeof FALLBACKS)[]).flatMap((kind) => {
    const map = config.gateway.routing[kind];
    const root = `gpubox:gateway.routing.${kind}`;
    const missing = Object.entries(map).flatMap(([from, to]) =>
      [from, ...to]
        .filter((name) => !entries.has(name))
        .map((name) => notDeclared(`${root}.${from}`, name, entries.keys())),
    );
    if (missing.length > 0) return missing;
    return [...otherModes(config, entries, map, root), ...circles(entries, map, root)];
  });
}

/** A fallback must serve the same mode: a chat model cannot answer an embedding request. */
function otherModes(
  { models }: StackConfig,
  entries: Map<string, string>,
  map: Record<string, string[]>,
  root: string,
): Problem[] {
  const modeOf = (name: string) => models[entries.get(name)!]!.mode;
  return Object.entries(map).flatMap(([from, to]) =>
    to
      .filter((name) => modeOf(name) !== modeOf(from))
      .map((name) => ({
        path: `${root}.${from}`,
        what: `"${from}" serves ${modeOf(from)} and "${name}" serves ${modeOf(name)}.`,
        fix: "Name a model of the same mode.",
      })),
  );
}

/** Models that stand in for each other would be asked in turn until LiteLLM gives up, at each failure. */
function circles(entries: Map<string, string>, map: Record<string, string[]>, root: string): Problem[] {
  const next = new Map<string, string[]>();
  for (const [from, to] of Object.entries(map)) {
    const entry = entries.get(from)!;
    next.set(entry, [...(next.get(entry) ?? []), ...to.map((name) => entries.get(name)!)]);
  }
  const seen = new Set<string>();
  const problems: Problem[] = [];
  const walk = (entry: string, way: string[]): void => {
    if (way.includes(entry)) {
      const circle = [...way.slice(way.indexOf(entry)), entry];
      problems.push({
        path: `${root}.${circle[0]}`,
        what: `The fallbacks go in a circle: ${circle.join(" → ")}.`,
        fix: "Take one of them out.",
      });
      return;
    }
    if (seen.has(entry)) return;
    seen.add(entry);
    for (const one of next.get(entry) ?? []) walk(one, [...way, entry]);
  };
  for (const entry of next.keys()) walk(entry, []);
  return problems;
}

/** LiteLLM's `default_fallbacks`, passed through: models that stand in for all others. */
function checkDefaultFallbacks(config: StackConfig): Problem[] {
  const entries = entriesByName(config);
  return (["litellm", "router"] as const).flatMap((section) => {
    const list = config.gateway.settings[section].default_fallbacks;
    if (!Array.isArray(list)) return [];
    return list
      .filter((name) => !entries.has(String(name)))
      .map((name) =>
        notDeclared(`gpubox:gateway.settings.${section}.default_fallbacks`, String(name), entries.keys()),
      );
  });
}

function checkTimes({ gateway: { routing } }: StackConfig): Problem[] {
  const problems: Problem[] = [];
  if (routing.streamTimeoutSeconds && routing.streamTimeoutSeconds > routing.timeoutSeconds)
    problems.push({
      path: "gpubox:gateway.routing.streamTimeoutSeconds",
      what: `A stream may be silent for longer than a request may take (${routing.timeoutSeconds} s).`,
      fix: `Write at most ${routing.timeoutSeconds}, or raise timeoutSeconds.`,
      judgedBy: { paths: ["gpubox:gateway.routing.timeoutSeconds"] },
    });
  if (routing.cooldownSeconds === 0 && routing.allowedFails !== undefined)
    problems.push({
      path: "gpubox:gateway.routing.allowedFails",
      what: "Nothing cools down with cooldownSeconds: 0, however often it fails.",
      fix: "Remove one of the two.",
    });
  return problems;
}

/** LiteLLM's own check would pick the instance before gpubox sees which ones can answer, and ask a failed one again. */
function checkAffinity({ gateway: { routing, settings } }: StackConfig): Problem[] {
  const checks = settings.router.optional_pre_call_checks;
  if (routing.affinitySeconds === 0 || !Array.isArray(checks) || !checks.includes("session_affinity"))
    return [];
  return [
    {
      path: "gpubox:gateway.settings.router.optional_pre_call_checks",
      what: '"session_affinity" would keep a conversation with an instance that fails; gpubox keeps it with one that answers.',
      fix: "Remove it: gpubox:gateway.routing.affinitySeconds says for how long. Or write affinitySeconds: 0 to have LiteLLM's.",
      judgedBy: { paths: ["gpubox:gateway.routing.affinitySeconds"] },
    },
  ];
}

import { gpuTenants, overlapShortages } from "../../configs/capacity/shortage";
import { wantedSources } from "../../configs/engines";
import { hashOf } from "../../configs/kit/text";
import { lockedSource } from "../../configs/models/lock";
import { deployedBox, lastingSteps, replacedBetween } from "../../configs/plan/changeNotices";
import { interruptionsOf } from "../../configs/plan/interruptions";
import { textWithoutSecrets } from "../../configs/policy/plaintext";
import { ownTexts } from "../../configs/stack/ownFiles";
import { onCluster } from "./cluster";
import { diffSettings, diffValues } from "./configDiff";
import { containerChanges, type Identity } from "./containers";
import { destinationChanges } from "./destinations";
import { downloads, short, weightsOf } from "./downloads";
import { gpuChanges } from "./gpus";
import { dataChanges, isOtherHost, portChanges, secretChanges } from "./resources";
import type { Changes, ModelChange, Side } from "./types";

/**
 * What `up` would change to turn one box into the other. Pure.
 *
 * @param before undefined: no box exists yet, and everything is new
 * @param known what was really deployed and what would be, with the secrets' real fingerprints. Default: what the two
 * plans say
 */
export function compare(before: Side | undefined, after: Side, known?: Identity): Changes {
  // A box on another host, or on a cluster, is a new box: it replaces nothing of the old one and has none of its data.
  const old = before && !isOtherTarget(before, after) && !isOtherHost(before, after) ? before : undefined;
  const identity = old && (known ?? { before: deployedBox(old.plan), after: deployedBox(after.plan) });
  const containers = containerChanges(old, after, identity);
  const replaced = identity ? replacedBetween(identity.before, identity.after) : new Set<string>();
  const changes: Changes = {
    settings: diffSettings(before?.values ?? {}, after.values),
    models: modelChanges(before, after),
    destinations: destinationChanges(before, after),
    containers,
    gaps: interruptionsOf(after.plan, replaced, weightsOf(after)),
    steps: identity ? lastingSteps(identity.before, identity.after) : [],
    gpus: gpuChanges(old, after),
    crowded: old ? overlapShortages(gpuTenants(old.plan), after.plan) : [],
    downloads: downloads(old, after),
    ports: portChanges(old, after),
    secrets: secretChanges(before, after),
    data: dataChanges(before, after, containers),
  };
  if (!after.plan.cluster) return changes;
  const told = onCluster(old?.plan, after.plan, changes);
  return before && isOtherTarget(before, after) ? { ...told, data: [LEFT_BEHIND] } : told;
}

/** What a move to a cluster leaves on the host. */
const LEFT_BEHIND = {
  what: "The whole box on the host, which keeps running: the one on the cluster is a new one, with its own volumes. docs/kubernetes.md says how to move.",
  fate: "kept" as const,
};

function isOtherTarget(before: Side, after: Side): boolean {
  return before.config.target !== after.config.target;
}

/** True when `up` would change nothing. The preview may still show notes and policies. */
export function changesNothing(changes: Changes): boolean {
  const { settings, models, destinations, containers, gaps, steps, gpus, downloads, ports, secrets, data } =
    changes;
  const lists = [settings, models, destinations, containers, gaps, steps, gpus, downloads, secrets, data];
  return [...lists, ports.opened, ports.closed].every((list) => list.length === 0);
}

function modelChanges(before: Side | undefined, after: Side): ModelChange[] {
  const [a, b] = [before?.config.models ?? {}, after.config.models];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].sort().flatMap((model): ModelChange[] => {
    const path = `gpubox:models.${model}`;
    const what = describe(b[model] ?? a[model]!);
    if (!Object.hasOwn(a, model)) return [{ model, change: "added", what, fields: [] }];
    if (!Object.hasOwn(b, model)) return [{ model, change: "removed", what, fields: [] }];
    const fields = [
      ...diffValues(entryOf(before, model), entryOf(after, model), path),
      ...revisionFields(before!, after, model),
      ...ownFileFields(before!, after, model),
    ];
    return fields.length > 0 ? [{ model, change: "changed", what, fields }] : [];
  });
}

/** The locked revisions of the sources that the model has before and after. */
function revisionFields(before: Side, after: Side, model: string) {
  const sources = (side: Side) => wantedSources({ [model]: side.config.models[model]! });
  const had = new Set(sources(before).map(({ source }) => source));
  return sources(after).flatMap(({ source }) => {
    const [then, now] = [before, after].map(({ lock }) => lockedSource(lock, source)?.revision);
    if (!had.has(source) || then === now) return [];
    return [{ path: `models.lock.json ${source}`, before: short(then), after: short(now) }];
  });
}

/** The files beside the stack file that the model has before and after, by a hash of their texts. */
function ownFileFields(before: Side, after: Side, model: string) {
  const named = (side: Side) =>
    ownTexts({ models: { [model]: side.config.models[model]! } }, side.config.ownFiles);
  const had = named(before);
  return Object.entries(named(after)).flatMap(([path, text]) =>
    had[path] === undefined || had[path] === text
      ? []
      : [{ path, before: hashOf(had[path]), after: hashOf(text) }],
  );
}

function entryOf(side: Side | undefined, model: string): unknown {
  return (side?.values.models as Record<string, unknown> | undefined)?.[model];
}

function describe({ engine, model }: { engine: string; model?: string }): string {
  return model ? `${engine}, ${textWithoutSecrets(model)}` : engine;
}

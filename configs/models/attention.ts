import type { AttentionGroup } from "./facts";

/** What one layer keeps of a sequence. `none` for layers that keep nothing (feed-forward only, or a cache of another layer). */
export type LayerCache =
  | { kind: "full" | "mla"; kvHeads: number; keyLength: number; valueLength: number }
  | { kind: "sliding"; kvHeads: number; keyLength: number; valueLength: number; window: number }
  | { kind: "recurrent"; stateBytes: number }
  | { kind: "none" };

/** Collects layers that are alike, in the order in which they first occur. */
export function groupLayers(layers: LayerCache[]): AttentionGroup[] {
  const groups = new Map<string, AttentionGroup>();
  for (const layer of layers) {
    if (layer.kind === "none") continue;
    const key = JSON.stringify(layer);
    const group = groups.get(key) ?? emptyGroup(layer);
    group.layers += 1;
    if (layer.kind === "recurrent") group.stateBytes = (group.stateBytes ?? 0) + layer.stateBytes;
    groups.set(key, group);
  }
  return [...groups.values()];
}

function emptyGroup(layer: Exclude<LayerCache, { kind: "none" }>): AttentionGroup {
  if (layer.kind === "recurrent")
    return { layers: 0, kind: "recurrent", kvHeads: 0, keyLength: 0, valueLength: 0, stateBytes: 0 };
  return { layers: 0, ...layer };
}

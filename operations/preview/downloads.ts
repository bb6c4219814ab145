import { sourcesOf, wantedSources } from "../../configs/engines";
import { resolvedImage } from "../../configs/kit/resolved";
import { servicesOf } from "../../configs/kit/services";
import type { ModelLock } from "../../configs/models/facts";
import { lockedSource } from "../../configs/models/lock";
import { entriesOfHost } from "../../configs/stack/config";
import { instancesOf } from "../../configs/stack/instances";
import type { Download, Side } from "./types";

/** Images and weights that the host must download, with the sizes in the locks. */
export function downloads(before: Side | undefined, after: Side): Download[] {
  return [...images(before, after), ...weights(before, after)];
}

function images(before: Side | undefined, after: Side): Download[] {
  const had = new Set(before ? servicesOf(before.plan).map(({ container }) => container.image) : []);
  const seen = new Set<string>();
  return servicesOf(after.plan).flatMap(({ container: { image, role, ownImage } }): Download[] => {
    if (had.has(image) || seen.has(image)) return [];
    seen.add(image);
    const { source, bytes } = resolvedImage(after.resolved, ownImage ?? role) ?? {};
    if (source === "recipe")
      return [{ kind: "image", what: image, remark: `built on the host from images/${role}` }];
    const pulled = bytes?.[after.config.host.arch];
    return [{ kind: "image", what: image, ...(pulled ? { bytes: pulled } : { remark: "size not locked" }) }];
  });
}

function weights(before: Side | undefined, after: Side): Download[] {
  const revision = (lock: ModelLock, source: string) => lockedSource(lock, source)?.revision;
  const had = new Set(before ? wantedSources(entriesOfHost(before.config)).map(({ source }) => source) : []);
  const wanted = new Set(
    wantedSources(entriesOfHost(after.config)).flatMap(({ source }) =>
      source.startsWith("hf://") ? source : [],
    ),
  );
  return [...wanted].flatMap((source): Download[] => {
    const now = revision(after.lock, source);
    const then = before && revision(before.lock, source);
    if (had.has(source) && now === then) return [];
    const locked = lockedSource(after.lock, source);
    const moved = had.has(source) ? `${short(then)} → ${short(now)}` : undefined;
    if (!locked)
      return [
        {
          kind: "weights" as const,
          what: source,
          remark: moved ? `${moved}, size not locked` : "size not locked",
        },
      ];
    const bytes = locked.files.reduce((sum, file) => sum + file.bytes, 0);
    return [{ kind: "weights", what: source, bytes, ...(moved ? { remark: moved } : {}) }];
  });
}

/** A revision in the form that people compare. */
export function short(revision: string | undefined): string {
  if (!revision) return "not locked";
  return revision.length > 12 ? `${revision.slice(0, 12)}…` : revision;
}

/** Bytes of weights that each instance's server reads at its start. */
export function weightsOf({ config, lock, resolved }: Side): (instance: string) => number | undefined {
  const known = new Map<string, number | undefined>();
  for (const [name, entry] of Object.entries(config.models))
    for (const { id, model } of instancesOf(name, entry)) {
      const canned = model.model === "canned" || resolved.offlineModels.includes(name);
      const sizes = sourcesOf(model).map(({ source }) => lockedSource(lock, source)?.weightBytes);
      const complete = sizes.length > 0 && sizes.every((size) => size !== undefined);
      known.set(
        id,
        canned ? 0 : complete ? sizes.reduce((sum: number, size) => sum + (size ?? 0), 0) : undefined,
      );
    }
  return (instance) => known.get(instance);
}

import { createHash } from "node:crypto";
import type { WritableDirectoryPlan } from "../../configs/kit/containerPlan";
import type { DirectoryPlan } from "../../configs/kit/text";
import { renderText, type SecretValues } from "../../configs/kit/text";
import type { HostDirectory } from "./facts";

/** Planned SHA-256 of each file, by name. */
export function plannedHashes({ files }: DirectoryPlan, secrets: SecretValues): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).map(([name, { text }]) => [
      name,
      createHash("sha256").update(renderText(text, secrets)).digest("hex"),
    ]),
  );
}

/** One difference of a directory from its plan. */
export interface FileDifference {
  /** Absolute path. */
  path: string;
  /** Follows the path in a sentence: `is missing`. */
  what: string;
  /** True: the files' content differs, so their readers may have read the wrong content. */
  content: boolean;
}

/** How a directory of planned files differs from its plan. Content is compared by hash and never shown. */
export function fileDifferences(
  plan: DirectoryPlan,
  hashes: Record<string, string>,
  found: HostDirectory | undefined,
): FileDifference[] {
  if (!found) return [{ path: plan.path, what: "is missing", content: true }];
  const own = rights(plan.path, found, { mode: "750", uid: 0, gid: plan.gid });
  const files = Object.entries(plan.files).flatMap(([name, { mode }]) => {
    const path = `${plan.path}/${name}`;
    const entry = found.entries[name];
    if (!entry) return [{ path, what: "is missing", content: true }];
    if (entry.type !== "file")
      return [{ path, what: `is a ${entry.type} and not a plain file`, content: true }];
    const same = entry.sha256 === hashes[name];
    return [
      ...(same ? [] : [{ path, what: "has other content than planned", content: true }]),
      ...rights(path, entry, { mode: mode.slice(1), uid: 0, gid: plan.gid }),
    ];
  });
  const extra = Object.keys(found.entries)
    .filter((name) => !(name in plan.files))
    .map((name) => ({ path: `${plan.path}/${name}`, what: "does not belong to the box", content: true }));
  return [...own, ...files, ...extra];
}

/** How a directory that a container writes to differs from its plan. */
export function writableDifferences(
  plan: WritableDirectoryPlan,
  found: HostDirectory | undefined,
): FileDifference[] {
  if (!found) return [{ path: plan.path, what: "is missing", content: true }];
  const mode = plan.sharesGroup ? "2750" : "750";
  return rights(plan.path, found, { mode, uid: plan.uid, gid: plan.gid });
}

function rights(
  path: string,
  found: { mode: string; uid: number; gid: number },
  planned: { mode: string; uid: number; gid: number },
): FileDifference[] {
  const mode = found.mode === planned.mode ? [] : [`has mode ${found.mode} instead of ${planned.mode}`];
  const [owner, should] = [found, planned].map(({ uid, gid }) => `${uid}:${gid}`);
  const owned = owner === should ? [] : [`belongs to ${owner} instead of ${should}`];
  return [...mode, ...owned].map((what) => ({ path, what, content: false }));
}

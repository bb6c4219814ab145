import { type DirectoryPlan, type FilePlan, hashOf, holdsSecret, type TextPart } from "../../kit/text";
import type { BoxPlan } from "../../kit/types";
import { hashedName, meta } from "./names";
import type { ConfigMap, KeyToPath, ObjectMeta, ProjectedSource, Volume } from "./objects";

/** What a Secret holds, without a value: the parts of each file's text name its secrets. */
export interface SecretPlan {
  metadata: ObjectMeta;
  files: Record<string, TextPart[]>;
}

/** A directory of files on a cluster. */
export interface MountedFiles {
  objects: ConfigMap[];
  secrets: SecretPlan[];
  volume: Volume;
}

/** 0440 and 0550: the pod's own group reads, and nobody writes. */
const READ = 0o440;
const EXECUTE = 0o550;

/**
 * Files as an immutable ConfigMap, and an immutable Secret of those that need the value of a secret. Both are named by what they
 * hold, a secret by its fingerprint: other files are other objects, and a pod that is started again reads what it read before.
 *
 * @param role part of the box whose objects they are
 * @param name of the volume
 */
export function mountedFiles(
  plan: BoxPlan,
  role: string,
  files: DirectoryPlan,
  name = "files",
): MountedFiles {
  const entries = Object.entries(files.files);
  const open = entries.filter(([, file]) => !holdsSecret(file));
  const closed = entries.filter(([, file]) => holdsSecret(file));
  const data = Object.fromEntries(open.map(([file, { text }]) => [file, text.join("")]));
  const openName = hashedName(role, hashOf(data));
  const closedName = hashedName(role, files.secretHash ?? "");
  const sources: ProjectedSource[] = [
    ...(open.length > 0 ? [{ configMap: { name: openName, ...items(open) } }] : []),
    ...(closed.length > 0 ? [{ secret: { name: closedName, ...items(closed) } }] : []),
  ];
  return {
    objects:
      open.length > 0
        ? [
            {
              apiVersion: "v1",
              kind: "ConfigMap",
              metadata: meta(plan, role, openName),
              immutable: true,
              data,
            },
          ]
        : [],
    secrets:
      closed.length > 0
        ? [
            {
              metadata: meta(plan, role, closedName),
              files: Object.fromEntries(closed.map(([file, { text }]) => [file, text])),
            },
          ]
        : [],
    volume: { name, projected: { defaultMode: READ, sources } },
  };
}

/** Only where a program is among them: a list has to name every file. */
function items(files: [string, FilePlan][]): { items?: KeyToPath[] } {
  if (files.every(([, { mode }]) => mode === "0640")) return {};
  return {
    items: files.map(([key, { mode }]) => ({
      key,
      path: key,
      ...(mode === "0750" ? { mode: EXECUTE } : {}),
    })),
  };
}

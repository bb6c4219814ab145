import type { ModelConfig } from "../engines";
import type { FileKeys } from "../engines/engine";
import { hostFoldersOf } from "../engines/files";
import type { Problem } from "../kit/problems";
import type { HostConfig } from "../schema/host";
import { type OwnContainer, sourceFlaw } from "../schema/ownContainer";

/** Mistakes in an entry's mounts that only show beside the rest of the config. */
export function checkOwnContainer(
  model: ModelConfig & OwnContainer,
  path: string,
  { dataDir }: HostConfig,
): Problem[] {
  const mounts = model.mounts ?? [];
  const targets = mounts.map(({ source, target = source }) => target);
  return mounts.flatMap(({ source }, index): Problem[] => {
    const at = `${path}.mounts[${index}]`;
    if (holdsSecrets(source, dataDir))
      return [
        {
          path: `${at}.source`,
          what: `${source} holds the box's own files, among them its keys.`,
          fix: `Mount a directory outside ${dataDir}, or one below ${dataDir}/models.`,
        },
      ];
    if (model.engine === "ollama" && targets[index] === "/models")
      return [{ path: `${at}.target`, what: "Ollama's own store is there.", fix: "Write another target." }];
    if (targets.indexOf(targets[index]!) !== index)
      return [
        { path: `${at}.target`, what: `${targets[index]} is mounted twice.`, fix: "Write another target." },
      ];
    return [];
  });
}

/** Refuses files whose folder no container may have, since it is the folder that is mounted. */
export function checkHostFolders(
  keys: FileKeys,
  model: ModelConfig,
  path: string,
  { dataDir }: HostConfig,
): Problem[] {
  return hostFoldersOf(keys, model).flatMap(({ key, folder }) => {
    if (folder.startsWith(`${dataDir}/models/`)) return [];
    const flaw = holdsSecrets(folder, dataDir) ? "holds the box's own files" : sourceFlaw(folder, true);
    if (!flaw) return [];
    return [
      {
        path: `${path}.${key}`,
        what: `Its folder ${folder} would be mounted, and that ${flaw}.`,
        fix: "Put it into a directory of its own, for example below /srv, or write ./file for a small file beside the stack file.",
      },
    ];
  });
}

function holdsSecrets(source: string, dataDir: string): boolean {
  const within = (inner: string, outer: string) => inner === outer || inner.startsWith(`${outer}/`);
  if (within(source, `${dataDir}/models`)) return false;
  return within(source, dataDir) || within(dataDir, source);
}

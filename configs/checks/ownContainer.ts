import { engineOf, type ModelConfig } from "../engines";
import { hostFoldersOf } from "../engines/files";
import { hostFolderOf, modelOf } from "../engines/source";
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

/** Programs that keep models in a hidden folder of somebody's home. */
const HELD = /^\/(home\/[^/]+|root)\/\.(cache|local\/share|lmstudio|ollama)\/./;

/** A commit in a hub's cache: its files are links to a folder beside it. */
const SNAPSHOT = /\/models--[^/]+\/snapshots\/[^/]+(\/|$)/;

/** Refuses files and weights whose folder no container may have, since it is the folder that is mounted. */
export function checkHostFolders(model: ModelConfig, path: string, { dataDir }: HostConfig): Problem[] {
  const { files = {}, sources } = engineOf(model);
  const weights = (sources?.(model) ?? [modelOf(model)]).flatMap(({ key, source }) => {
    const folder = hostFolderOf(source);
    return folder === undefined ? [] : [{ key, folder, weights: true }];
  });
  const others = hostFoldersOf(files, model).map((one) => ({
    ...one,
    weights: files[one.key.split(/[.[]/)[0]!] !== "text",
  }));
  return [...weights, ...others].flatMap(({ key, folder, weights }): Problem[] => {
    const at = `${path}.${key}`;
    if (SNAPSHOT.test(folder))
      return [
        {
          path: at,
          what: `The files in ${folder} are links to files outside it, which the container would not see.`,
          fix: "Write hf://owner/repo; `gpubox import` of the cache's folder says how the box takes its files over without a download.",
        },
      ];
    if (within(folder, `${dataDir}/models`) || (weights && isHeld(folder))) return [];
    const flaw = holdsSecrets(folder, dataDir) ? "holds the box's own files" : sourceFlaw(folder, true);
    if (!flaw) return [];
    return [
      {
        path: at,
        what: `Its folder ${folder} would be mounted, and that ${flaw}.`,
        fix: `Put it into a directory of its own, for example below /srv${weights ? "" : ", or write ./file for a small file beside the stack file"}.`,
      },
    ];
  });
}

function isHeld(folder: string): boolean {
  return HELD.test(folder) && !folder.split("/").includes("..");
}

function within(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(`${outer}/`);
}

function holdsSecrets(source: string, dataDir: string): boolean {
  if (within(source, `${dataDir}/models`)) return false;
  return within(source, dataDir) || within(dataDir, source);
}

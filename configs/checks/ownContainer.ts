import type { ModelConfig } from "../engines";
import type { Problem } from "../kit/problems";
import type { HostConfig } from "../schema/host";
import type { OwnContainer } from "../schema/ownContainer";

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

function holdsSecrets(source: string, dataDir: string): boolean {
  const within = (inner: string, outer: string) => inner === outer || inner.startsWith(`${outer}/`);
  if (within(source, `${dataDir}/models`)) return false;
  return within(source, dataDir) || within(dataDir, source);
}

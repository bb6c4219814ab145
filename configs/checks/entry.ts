import { engineOf, type ModelConfig } from "../engines";
import type { CheckContext } from "../engines/engine";
import { checkFiles } from "../engines/files";
import { checkPaths } from "../engines/paths";
import type { Problem } from "../kit/problems";
import { checkOwnFiles, type OwnFiles } from "../stack/ownFiles";
import { checkHostFolders, checkOwnContainer } from "./ownContainer";

/** Every mistake of an entry, or of one of its instances, that its schema cannot see. `path` is that one's. */
export function checkEntry(
  model: ModelConfig,
  path: string,
  { files, ...about }: CheckContext & { files: OwnFiles },
): Problem[] {
  const engine = engineOf(model);
  const problems = engine.check(model, path, about);
  if (!engine.container) return problems;
  return [
    ...problems,
    ...checkFiles(engine.files ?? {}, model, path),
    ...checkOwnFiles(model, path, files),
    ...checkPaths(engine, model, path, about.host),
    ...checkHostFolders(engine.files ?? {}, model, path, about.host),
    ...checkOwnContainer(model, path, about.host),
  ];
}

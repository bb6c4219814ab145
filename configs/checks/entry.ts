import { engineOf, type ModelConfig } from "../engines";
import { checkWords } from "../engines/argumentWords";
import type { CheckContext } from "../engines/engine";
import { checkFiles } from "../engines/files";
import { checkHubToken } from "../engines/hubToken";
import { checkPaths } from "../engines/paths";
import { checkUnknownFlags } from "../engines/unknownFlags";
import { checkReachable } from "../engines/unreachable";
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
  const refused = [
    ...problems,
    ...checkHubToken(model, engine.commandLine, path),
    ...checkReachable(model, engine.commandLine, path),
  ];
  // A flag that has to go needs no mount.
  const isOpen = (problem: Problem) => !refused.some((other) => other.path === problem.path);
  return [
    ...refused,
    ...checkFiles(engine.files ?? {}, model, path),
    ...checkOwnFiles(model, path, files),
    ...checkPaths(engine, model, path, about.host).filter(isOpen),
    ...checkHostFolders(model, path, about.host),
    ...checkOwnContainer(model, path, about.host),
    // The images of an entry with a mistake are not known.
    ...(refused.length === 0
      ? [...checkUnknownFlags(model, path, about.host), ...checkWords(model, path, about.host)]
      : []),
  ];
}

import { engineOf, type ModelConfig } from "../engines";
import { ownFilesOf } from "../engines/files";
import type { Problem } from "../kit/problems";

/** The files beside the stack file, by the path that names them: the text, or why there is none. */
export type OwnFiles = Record<string, { text: string } | { what: string; fix: string }>;

/** Mistakes in the files that an entry names. `path` is the entry's. */
export function checkOwnFiles(model: ModelConfig, path: string, files: OwnFiles): Problem[] {
  return ownFilesOf(engineOf(model).files ?? {}, model).flatMap(({ key, path: file }) => {
    const found = files[file] ?? { what: `${file} has not been read.`, fix: "Put it beside the stack file." };
    return "text" in found ? [] : [{ path: `${path}.${key}`, what: found.what, fix: found.fix }];
  });
}

/** The texts of those that entries name; undefined where none does. */
export function ownTexts(
  models: Record<string, ModelConfig>,
  files: OwnFiles,
): Record<string, string> | undefined {
  const named = Object.values(models).flatMap((model) => ownFilesOf(engineOf(model).files ?? {}, model));
  const found = named.flatMap(({ path }) => {
    const file = files[path];
    return file && "text" in file ? [[path, file.text] as const] : [];
  });
  return found.length > 0 ? Object.fromEntries(found) : undefined;
}

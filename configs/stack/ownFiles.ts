import { engineOf, type ModelConfig } from "../engines";
import { ownFilesOf } from "../engines/files";
import type { Problem } from "../kit/problems";
import type { GatewayConfig } from "../schema/gateway";

/** The files beside the stack file, by the path that names them: the text, or why there is none. */
export type OwnFiles = Record<string, { text: string } | { what: string; fix: string }>;

/** Mistakes in the files that an entry names. `path` is the entry's. */
export function checkOwnFiles(model: ModelConfig, path: string, files: OwnFiles): Problem[] {
  return ownFilesOf(engineOf(model).files ?? {}, model).flatMap(({ key, path: file }) => {
    const found = files[file] ?? { what: `${file} has not been read.`, fix: "Put it beside the stack file." };
    return "text" in found ? [] : [{ path: `${path}.${key}`, what: found.what, fix: found.fix }];
  });
}

/** The texts that were found. */
export function readTexts(files: OwnFiles): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).flatMap(([path, file]) => ("text" in file ? [[path, file.text]] : [])),
  );
}

/** Of these texts those that the entries and the gateway name. Default: no gateway. */
export function ownTexts(
  { models, gateway }: { models: Record<string, ModelConfig>; gateway?: GatewayConfig },
  texts: Record<string, string> = {},
): Record<string, string> {
  const named = Object.values(models).flatMap((model) => ownFilesOf(engineOf(model).files ?? {}, model));
  const paths = [...named.map(({ path }) => path), ...Object.values(gateway?.modules ?? {})];
  return Object.fromEntries(
    paths.flatMap((path) => (texts[path] === undefined ? [] : [[path, texts[path]]])),
  );
}

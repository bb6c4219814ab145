import { UserError } from "../process";

/** Where a model's files are, as the stack config names it. */
export type ModelSource =
  | { kind: "hub"; repo: string; revision: string; file?: string }
  | { kind: "host"; path: string };

/**
 * Reads `hf://owner/repo[@revision][/path/file.gguf]` or `file:///path/file.gguf`.
 * @throws UserError for anything else
 */
export function parseSource(source: string): ModelSource {
  const hub = /^hf:\/\/([\w.-]+\/[\w.-]+)(?:@([\w.-]+))?(?:\/([\w./-]+))?$/.exec(source);
  if (hub?.[1]) return { kind: "hub", repo: hub[1], revision: hub[2] ?? "main", file: hub[3] };
  const host = /^file:\/\/(\/[\w./-]+)$/.exec(source);
  if (host?.[1]) return { kind: "host", path: host[1] };
  throw new UserError(
    `"${source}" is no source of a model.`,
    "Write hf://owner/repo, hf://owner/repo@revision/file.gguf or file:///path/file.gguf.",
  );
}

const HUB = /^hf:\/\/([\w.-]+\/[\w.-]+)(?:@([\w.-]+))?(?:\/([\w./-]+))?$/;
const HOST = /^file:\/\/(\/[\w./-]+)$/;

/** Both kinds of a source's text. */
export const SOURCE = new RegExp(`${HUB.source}|${HOST.source}`);

/** What a source says: a repository or a file of the model hub, or a path on the host. */
export type Source = HubSource | { from: "host"; path: string };

export interface HubSource {
  from: "hub";
  repo: string;
  /** A branch, a tag or a commit. Default: `main`. */
  revision: string;
  file?: string;
}

/**
 * Reads `hf://owner/repo[@revision][/path/file.gguf]` or `file:///path`.
 * @throws Error for a text that `SOURCE` does not match
 */
export function parseSource(text: string): Source {
  const path = HOST.exec(text)?.[1];
  if (path) return { from: "host", path };
  const [, repo, revision = "main", file] = HUB.exec(text) ?? [];
  if (!repo) throw new Error(`model source ${text} passed the schema but has no rule`);
  return { from: "hub", repo, revision, file };
}

import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import type { LockedFile } from "../../configs/models/facts";
import type { HubAccess } from "./hub";

/** All files below a directory of this machine, sorted by path. */
export function filesBelow(directory: string): LockedFile[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(directory, path), bytes: statSync(path).size }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Presents a directory as if a hub had it, because the hub's own library reads headers from nowhere else. */
export function hubOf(directory: string): HubAccess {
  return {
    endpoint: "http://directory.invalid",
    fetch: async (input, init) => {
      const { pathname } = new URL(input instanceof Request ? input.url : String(input));
      const path = join(directory, decodeURIComponent(pathname).replace(/^.*\/resolve\/[^/]+\//, ""));
      if (!statSync(path, { throwIfNoEntry: false })?.isFile())
        return new Response(null, { status: 404, headers: { "x-error-code": "EntryNotFound" } });
      return answer(path, new Headers(init?.headers).get("range"));
    },
  };
}

function answer(path: string, range: string | null): Response {
  const { size } = statSync(path);
  const [, first = "0", last = String(size - 1)] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
  const from = Number(first);
  const bytes = Buffer.alloc(Math.max(0, Math.min(Number(last), size - 1) - from + 1));
  const file = openSync(path, "r");
  try {
    readSync(file, bytes, 0, bytes.length, from);
  } finally {
    closeSync(file);
  }
  const headers = { "content-range": `bytes ${from}-${last}/${size}`, etag: `"${path}"` };
  return new Response(bytes, { status: range ? 206 : 200, headers });
}

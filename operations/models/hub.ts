import { HubApiError, listFiles, modelInfo } from "@huggingface/hub";
import type { LockedFile } from "../../configs/models/facts";
import { UserError } from "../../platform/process";
import { within } from "../../platform/within";

/** Milliseconds that a hub gets for an answer. Only lists and the first pages of a file are read here, never weights. */
const HUB_MS = 60_000;

/** How to reach a hub. */
export interface HubAccess {
  /** Base URL; default Hugging Face. */
  endpoint?: string;
  /** For gated and private repositories. Never part of an error or a log line. */
  token?: string;
  /** Default: the platform's own. */
  fetch?: typeof fetch;
}

/** The base URL without a trailing slash. */
export function hubUrl(access: HubAccess): string {
  return (access.endpoint ?? "https://huggingface.co").replace(/\/+$/, "");
}

/**
 * A fetch that sends the token only to the hub: weights come from other hosts through signed links.
 *
 * @throws UserError when the hub refuses; its answer would otherwise be read as a file
 */
export function hubFetch(access: HubAccess): typeof fetch {
  const hub = new URL(hubUrl(access)).origin;
  return async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const headers = new Headers(init?.headers);
    if (access.token && new URL(url).origin === hub) headers.set("Authorization", `Bearer ${access.token}`);
    const answer = await within(HUB_MS, (timeout) => {
      const signal = init?.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
      return (access.fetch ?? fetch)(input, { ...init, headers, signal });
    });
    if (answer.status !== 401 && answer.status !== 403) return answer;
    throw new UserError(
      `The hub does not let ${access.token ? "this token" : "anybody"} read ${new URL(url).pathname} (${answer.status}).`,
      "Check the name. For a gated model accept its licence and set a token: `pulumi config set --secret gpubox:hfToken`, or HF_TOKEN.",
    );
  };
}

/** Arguments of the hub library, in addition to the repository. */
export function hubConnection(access: HubAccess): { hubUrl: string; fetch: typeof fetch } {
  return { hubUrl: hubUrl(access), fetch: hubFetch(access) };
}

/**
 * The commit that a revision points to now. A full commit needs no request.
 *
 * @throws UserError when the hub does not answer, or has no such repository or revision
 */
export async function resolveRevision(repo: string, revision: string, access: HubAccess): Promise<string> {
  if (/^[0-9a-f]{40}$/.test(revision)) return revision;
  const info = await asked(repo, access, () =>
    modelInfo({ name: repo, revision, additionalFields: ["sha"], ...hubConnection(access) }),
  );
  if (info.sha) return info.sha;
  throw new UserError(`The hub names no commit for ${repo}@${revision}.`, "Give the commit in the source.");
}

/** All files of a repository at a commit, sorted by path. */
export async function filesAt(repo: string, commit: string, access: HubAccess): Promise<LockedFile[]> {
  const files = await asked(repo, access, async () => {
    const found: LockedFile[] = [];
    const query = { repo: { type: "model" as const, name: repo }, revision: commit, recursive: true };
    for await (const entry of listFiles({ ...query, ...hubConnection(access) }))
      if (entry.type === "file")
        found.push({
          path: entry.path,
          bytes: entry.lfs?.size ?? entry.size,
          ...(entry.lfs ? { sha256: entry.lfs.oid } : {}),
        });
    return found;
  });
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Runs a request to the hub and turns its failures into user errors. */
export async function asked<Answer>(
  repo: string,
  access: HubAccess,
  request: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await request();
  } catch (error) {
    if (error instanceof UserError) throw error;
    const status = error instanceof HubApiError ? error.statusCode : undefined;
    if (status === 404)
      throw new UserError(
        `The hub has no ${repo}, or not at that revision.`,
        "Correct the source's repository or revision.",
      );
    if (error instanceof TypeError && error.cause instanceof Error)
      throw new UserError(
        `${hubUrl(access)} did not answer for ${repo}: ${error.cause.message}.`,
        "Try again from a machine that reaches it, or name a mirror: gpubox:host.modelHub.",
      );
    throw new UserError(
      `${repo} cannot be read: ${error instanceof Error ? error.message : error}.`,
      "Check its files on the hub, or name another revision or repository.",
    );
  }
}

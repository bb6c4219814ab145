import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A repository of the stub hub. */
export interface StubRepository {
  /** Commit of `main`. */
  commit: string;
  files: Record<string, Buffer>;
  /** Only this token may read it. */
  token?: string;
  /** Base URL of another host that delivers the files. */
  deliveredBy?: string;
}

/** A hub with the endpoints that resolving needs: revision, tree, and files with ranges. */
export interface StubHub {
  url: string;
  repositories: Record<string, StubRepository>;
  /** Requests so far, `GET /path range`. */
  requests: string[];
  /** Authorization headers that came. */
  authorizations: string[];
  /** Bytes of files that were sent. */
  sent: { bytes: number };
  close(): Promise<void>;
}

export async function startHub(repositories: Record<string, StubRepository>): Promise<StubHub> {
  const requests: string[] = [];
  const authorizations: string[] = [];
  const sent = { bytes: 0 };
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.range ?? ""}`.trim());
    if (request.headers.authorization) authorizations.push(request.headers.authorization);
    answer(repositories, sent, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    repositories,
    requests,
    authorizations,
    sent,
    close: () => closed(server),
  };
}

function answer(
  repositories: Record<string, StubRepository>,
  sent: { bytes: number },
  request: IncomingMessage,
  response: ServerResponse,
): ServerResponse {
  const url = new URL(request.url ?? "", "http://hub");
  const path = url.pathname.replace(/^\/api\/models/, "");
  const [, owner, name, endpoint, revision, ...rest] = path.split("/").map(decodeURIComponent);
  const repository = repositories[`${owner}/${name}`];
  if (!repository) return refuse(response, 404, "RepoNotFound");
  if (repository.token && request.headers.authorization !== `Bearer ${repository.token}`)
    return refuse(response, 401, "GatedRepo");
  if (revision !== "main" && revision !== repository.commit) return refuse(response, 404, "RevisionNotFound");
  if (endpoint === "revision")
    return json(response, {
      _id: "1",
      id: `${owner}/${name}`,
      sha: repository.commit,
      lastModified: "2026-01-01",
    });
  if (endpoint === "tree")
    return json(
      response,
      Object.entries(repository.files).map(([file, bytes]) => ({
        type: "file",
        path: file,
        size: bytes.length,
        oid: "1",
        ...(/\.(gguf|safetensors)$/.test(file)
          ? { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } }
          : {}),
      })),
    );
  const file = repository.files[rest.join("/")];
  if (endpoint !== "resolve" || !file) return refuse(response, 404, "EntryNotFound");
  if (repository.deliveredBy) {
    response.writeHead(302, { location: `${repository.deliveredBy}${url.pathname}` });
    return response.end();
  }
  return sendRange(response, file, request.headers.range, sent);
}

function sendRange(
  response: ServerResponse,
  file: Buffer,
  range: string | undefined,
  sent: { bytes: number },
): ServerResponse {
  const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  const from = Number(first);
  const to = Math.min(last === "" ? file.length - 1 : Number(last), file.length - 1);
  if (from >= file.length) return refuse(response, 416, "Range");
  sent.bytes += to - from + 1;
  response.writeHead(range ? 206 : 200, {
    "content-range": `bytes ${from}-${to}/${file.length}`,
    "content-length": to - from + 1,
    etag: `"${sha256(file)}"`,
  });
  return response.end(file.subarray(from, to + 1));
}

function json(response: ServerResponse, value: unknown): ServerResponse {
  response.writeHead(200, { "content-type": "application/json" });
  return response.end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string): ServerResponse {
  response.writeHead(status, { "x-error-code": code, "content-type": "application/json" });
  return response.end(JSON.stringify({ error: code }));
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A safetensors file of zeros with these tensors. */
export function zeroSafetensors(
  tensors: Record<string, { dtype: string; shape: number[]; bytes: number }>,
): Buffer {
  let offset = 0;
  const header = Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, bytes }]) => {
      const begin = offset;
      offset += bytes;
      return [name, { dtype, shape, data_offsets: [begin, offset] }];
    }),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(offset)]);
}

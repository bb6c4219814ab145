import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UserError } from "../process";
import { dockerArguments } from "./client";
import { spaceFailure } from "./space";

/** What identifies a file's content. */
export interface FileSum {
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

/** Gets how many bytes have passed. */
type OnBytes = (done: number) => void;

/**
 * Writes images into one file, as `docker save` has them: layers that they share are in it once.
 *
 * @param onBytes gets how many bytes are written
 * @throws UserError with Docker's words, and when the file's disk is full
 */
export async function saveArchive(
  host: string,
  references: string[],
  path: string,
  onBytes: OnBytes,
): Promise<FileSum> {
  const child = docker(host, ["save", ...references]);
  child.stdin.end();
  const sum = summing(onBytes);
  try {
    await Promise.all([pipeline(child.stdout, sum.pass, createWriteStream(path)), child.done]);
  } catch (error) {
    child.kill();
    throw asUserError(error);
  }
  return sum.result();
}

/**
 * Brings the images of such a file to an engine.
 *
 * @param onBytes gets how many bytes the engine has taken
 * @throws UserError with Docker's words
 */
export function loadArchive(host: string, path: string, onBytes: OnBytes): Promise<void> {
  return sendFile(host, ["load", "--quiet"], path, { start: 0, onBytes });
}

/**
 * Runs `docker ARGS` with a file as its standard input, from the byte `start` on.
 *
 * @throws UserError with Docker's words
 */
export async function sendFile(
  host: string,
  args: string[],
  path: string,
  { start, onBytes }: { start: number; onBytes: OnBytes },
): Promise<void> {
  const child = docker(host, args);
  child.stdout.resume();
  const sent = pipeline(createReadStream(path, { start }), summing(onBytes).pass, child.stdin);
  // What Docker says when it ends early says more than the broken pipe.
  const [ended, piped] = await Promise.allSettled([child.done, sent]);
  for (const one of [ended, piped]) if (one.status === "rejected") throw asUserError(one.reason);
}

/** Reads a file whole. */
export async function sumFile(path: string, onBytes: OnBytes): Promise<FileSum> {
  const sum = summing(onBytes);
  const nowhere = new Writable({ write: (_, __, done) => done() });
  await pipeline(createReadStream(path), sum.pass, nowhere);
  return sum.result();
}

function docker(host: string, args: string[]) {
  const child = spawn("docker", dockerArguments(host, args), { stdio: ["pipe", "pipe", "pipe"] });
  let words = "";
  child.stderr.on("data", (part: Buffer) => {
    words = `${words}${part}`.slice(-2_000);
  });
  const done = once(child, "close").then(([code]) => {
    if (code === 0) return;
    const full = spaceFailure(words, "Docker's host");
    if (full) throw new UserError(full.what, full.fix);
    const last = words.trim().split("\n").at(-1) || `exit code ${code}`;
    throw new UserError(`\`docker ${args[0]}\` failed: ${last}.`, "Run it by hand to see more.");
  });
  return Object.assign(child, { done });
}

function summing(onBytes: OnBytes) {
  const hash = createHash("sha256");
  let bytes = 0;
  const pass = new Transform({
    transform(chunk: Buffer, _, next) {
      hash.update(chunk);
      bytes += chunk.length;
      onBytes(bytes);
      next(null, chunk);
    },
  });
  return { pass, result: (): FileSum => ({ bytes, sha256: hash.digest("hex") }) };
}

/** What a person can do about a folder that takes no file; any other error as it is. */
export function asUserError(error: unknown): unknown {
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC") return new UserError("The folder's disk is full.", "Name a folder with more room.");
  return code === "EACCES" || code === "EROFS" || code === "ENOTDIR"
    ? new UserError(`${path} cannot be written (${code}).`, "Name a folder that you may write to.")
    : error;
}

import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { z } from "zod";
import { yamlValue } from "../configs/kit/yamlText";
import { UserError } from "./process";

/** Upper limit in bytes for a file that a person writes by hand. */
const LONGEST = 4 * 1024 * 1024;

/** How an error names a file, and its advice. */
interface About {
  /** Default: the file's own name. */
  name?: string;
  /** Default: to correct it. */
  fix?: string;
  /** Most bytes that it may have. */
  longest?: number;
}

/**
 * The text of a file that a person wrote or may have changed.
 *
 * @throws UserError for anything that prevents reading it: it is missing, a folder, too long, not text, or not readable
 */
export function readText(
  path: string,
  { name = basename(path), fix, longest = LONGEST }: About = {},
): string {
  const refused = (what: string, otherwise: string) => new UserError(`${name} ${what}.`, fix ?? otherwise);
  let bytes: Buffer;
  try {
    const stats = statSync(path);
    // Reading a pipe or a device could wait forever.
    if (!stats.isFile()) throw refused("is not a file", "Put a file there.");
    if (stats.size > longest)
      throw refused(`has ${stats.size} bytes, more than ${longest}`, "Find out what wrote it.");
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    throw refused(`cannot be read (${code})`, "Check whether it exists, and who may read it.");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw refused("is not text in UTF-8", "Save it as UTF-8.");
  }
}

/** What each path's text was last, and what it says: a command asks for its stack's file up to ten times. */
const lastRead = new Map<string, { text: string; read: ReturnType<typeof yamlValue> }>();

/** A person's YAML file as plain data, which is the caller's own. @throws UserError */
export function readYaml(path: string, about: About = {}): unknown {
  const text = readText(path, about);
  const last = lastRead.get(path);
  const read = last?.text === text ? last.read : yamlValue(text);
  lastRead.set(path, { text, read });
  if ("value" in read) return structuredClone(read.value);
  throw new UserError(`${about.name ?? basename(path)} ${read.flaw}.`, about.fix ?? "Correct it there.");
}

/** A file that gpubox wrote itself, but that somebody may have changed. @throws UserError */
export function readJsonFile<Value>(path: string, schema: z.ZodType<Value>, about: About = {}): Value {
  const { name = basename(path), fix = "Restore it, or remove it and run the command again." } = about;
  const text = readText(path, { longest: 64 * 1024 * 1024, ...about });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's own message would quote the text, which may contain a secret.
    throw new UserError(`${name} is not JSON.`, fix);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const places = parsed.error.issues
    .slice(0, 5)
    .map(({ path: at, message }) => `${at.join(".") || "file"}: ${message}`);
  throw new UserError(`${name} has mistakes: ${places.join("; ")}.`, fix);
}

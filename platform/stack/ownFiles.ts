import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { OWN } from "../../configs/engines/files";
import type { OwnFiles } from "../../configs/stack/ownFiles";
import { UserError } from "../process";
import { readText } from "../userFiles";

/** Most bytes of a file beside the stack file. It travels with the plan, so it is no place for weights. */
const LONGEST = 1024 * 1024;

/**
 * The files beside the stack file that its models name, `./template.jinja`. One that cannot be read is marked, so that the key
 * which names it is reported.
 *
 * @param models that section of the config, as in the file
 */
export function readOwnFiles(projectDir: string, models: unknown): OwnFiles {
  const named = new Set(texts(models).filter((text) => OWN.test(text)));
  return Object.fromEntries([...named].map((path) => [path, read(projectDir, path)]));
}

/** Brings the files of a recorded generation beside the stack file in a folder. */
export function copyRecordedFiles(record: string, folder: string): void {
  const files = join(record, "files");
  if (existsSync(files)) cpSync(files, folder, { recursive: true });
}

function read(projectDir: string, path: string): OwnFiles[string] {
  try {
    return { text: readText(join(projectDir, path), { name: path, longest: LONGEST }) };
  } catch (error) {
    if (error instanceof UserError) return { what: error.what, fix: error.fix };
    throw error;
  }
}

function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return value && typeof value === "object" ? Object.values(value).flatMap(texts) : [];
}

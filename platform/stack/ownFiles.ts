import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { OWN } from "../../configs/engines/files";
import type { OwnFiles } from "../../configs/stack/ownFiles";
import { UserError } from "../process";
import { readText } from "../userFiles";

/** Most bytes of a file beside the stack file. It travels with the plan, so it is no place for weights. */
const LONGEST = 1024 * 1024;

/**
 * The files beside the stack file that its models and `gateway.modules` name, `./template.jinja`. One that cannot be read is
 * marked, so that the key which names it is reported.
 *
 * @param values of the config, keys without prefix, as in the file
 */
export function readOwnFiles(projectDir: string, values: Record<string, unknown>): OwnFiles {
  return Object.fromEntries(ownPaths(values).map((path) => [path, read(projectDir, path)]));
}

/** The paths of these files. */
export function ownPaths({ models, gateway }: Record<string, unknown>): string[] {
  const modules = gateway && typeof gateway === "object" && "modules" in gateway ? gateway.modules : [];
  return [...new Set(texts([models, modules]).filter((text) => OWN.test(text)))];
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

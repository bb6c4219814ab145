import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Folders of system programs, which not every user has on PATH. */
const SYSTEM = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** Absolute path of a program on PATH, as a shell finds it. */
export function programOnPath(name: string, further: string[] = []): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter).filter(Boolean), ...further];
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

/** Absolute path of a program on PATH or in the folders of system programs. */
export function systemProgram(name: string): string | undefined {
  return programOnPath(name, SYSTEM);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

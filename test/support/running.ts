import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageDir } from "../../platform/project";
import { until } from "./wait";

/** Names of the programs whose command line has a text, by their process ids. */
export function processesWith(text: string): Record<string, string> {
  const found = readdirSync("/proc").flatMap((pid): [string, string][] => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const words = readFileSync(join("/proc", pid, "cmdline"), "utf8").split("\0");
      return words.some((word) => word.includes(text)) ? [[pid, words[0]!]] : [];
    } catch {
      // It ended meanwhile.
      return [];
    }
  });
  return Object.fromEntries(found);
}

/** The process that started another one, or took it in. */
export function parentOf(pid: string): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(join("/proc", pid, "status"), "utf8"))?.[1]);
}

/**
 * Runs a text of TypeScript's in a process of its own, which goes on until it is killed, or this one.
 *
 * @param text prints one line when what it holds is there; `support` is this folder
 * @returns the process, and that line
 */
export async function held(text: string): Promise<{ holder: ChildProcess; said: string }> {
  const support = JSON.stringify(join(packageDir, "test/support"));
  const holder = spawn(
    "setpriv",
    [
      "--pdeathsig",
      "KILL",
      process.execPath,
      "--import",
      "tsx",
      "--eval",
      `const support = ${support}; ${text}; setInterval(() => {}, 60000);`,
    ],
    { cwd: packageDir, stdio: ["ignore", "pipe", "inherit"] },
  );
  let said = "";
  holder.stdout.on("data", (data) => {
    said += data;
  });
  await until("the other process holds it", () => said.includes("\n"), { seconds: 300 });
  return { holder, said: said.trim() };
}

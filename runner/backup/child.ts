import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";

/** Characters that are kept of errors, and that output may have: a dump has a say in how much there is. */
const KEPT = { stdout: 64 << 20, stderr: 1 << 20 };

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** `docker` with a file in place of a pipe: a dump may be larger than this process should hold. */
export function child(args: string[], stdio: ("pipe" | "ignore" | number)[], stdin?: string): Promise<Ended> {
  return new Promise((resolve) => {
    const process = spawn("docker", args, { stdio });
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      process[name]?.setEncoding("utf8").on("data", (chunk: string) => {
        said[name] = (said[name] + chunk).slice(-KEPT[name]);
        // The beginning of a list must not get lost: what cannot be kept whole has failed.
        if (name === "stdout" && said.stdout.length === KEPT.stdout) process.kill("SIGKILL");
      });
    const end = (code: number | null) => resolve({ code: code ?? 137, ...said });
    process.on("error", () => end(127));
    process.on("close", end);
    process.stdin?.on("error", () => {});
    process.stdin?.end(stdin);
  });
}

/** Does something with an open file. */
export async function withFile<T>(
  path: string,
  flags: string,
  action: (file: number) => Promise<T>,
): Promise<T> {
  const file = openSync(path, flags, 0o600);
  try {
    return await action(file);
  } finally {
    closeSync(file);
  }
}

/**
 * What a program said when it failed, from its last error on, without what would steer a terminal: a dump has a say in it.
 */
export function lastWords(stderr: string, code: number): string {
  const lines = stderr.trim().split("\n");
  const error = lines.findLastIndex((line) => /error:/i.test(line));
  const words = error < 0 ? lines.slice(-3) : lines.slice(error, error + 3);
  return (
    words
      .join(" ")
      .replace(/[\p{Cc}\p{Cf}]/gu, "")
      .slice(0, 600) || `exit code ${code}`
  );
}

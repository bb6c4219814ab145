import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { dockerArguments } from "../../platform/docker/client";

/** Limits in characters for errors and output, because a hostile dump could make them endless. */
const KEPT = { stdout: 64 << 20, stderr: 1 << 20 };

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `docker` with a file instead of a pipe, because a dump may be too large for this process's memory. */
export function child(
  docker: string,
  args: string[],
  stdio: ("pipe" | "ignore" | number)[],
  stdin?: string,
): Promise<Ended> {
  return new Promise((resolve) => {
    const process = spawn("docker", dockerArguments(docker, args), { stdio });
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      process[name]?.setEncoding("utf8").on("data", (chunk: string) => {
        said[name] = (said[name] + chunk).slice(-KEPT[name]);
        // A list must not lose its beginning, so output that is too long is a failure.
        if (name === "stdout" && said.stdout.length === KEPT.stdout) process.kill("SIGKILL");
      });
    const end = (code: number | null) => resolve({ code: code ?? 137, ...said });
    process.on("error", () => end(127));
    process.on("close", end);
    process.stdin?.on("error", () => {});
    process.stdin?.end(stdin);
  });
}

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

/** A failed program's words from its last error on, without control characters, which a hostile dump can insert. */
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

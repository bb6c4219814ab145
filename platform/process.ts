import { spawn } from "node:child_process";

export interface RunOptions {
  /** Written to the child's standard input, which is then closed. Secrets reach a child only this way. */
  stdin?: string | Buffer;
  /** Added to this process's environment. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** The child writes to the terminal while it runs; `stdout` and `stderr` of the result are then empty. */
  inherit?: boolean;
  /** Kills the child after this many milliseconds. Default: no limit. */
  timeoutMs?: number;
}

export interface RunResult {
  /** Exit code; 127 when the program does not exist, 137 when it was killed. */
  code: number;
  stdout: string;
  stderr: string;
}

/** Where a child with `inherit` writes its standard output. */
let terminal: "inherit" | 2 = "inherit";

/**
 * Sends the output of children with `inherit` to standard error from now on, so that standard output contains only
 * JSON.
 */
export function keepOutputForJson(): void {
  terminal = 2;
}

/** Number of children that write to the terminal now. */
let borrowers = 0;

/** True while a child uses the terminal: drawing now would garble its lines. */
export function terminalIsLent(): boolean {
  return borrowers > 0;
}

/** Runs a program without a shell and waits for it. Never rejects; the caller checks `code`. */
export function run(program: string, args: string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve) => {
    if (options.inherit) borrowers += 1;
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [
        options.stdin === undefined ? "ignore" : "pipe",
        options.inherit ? terminal : "pipe",
        options.inherit ? "inherit" : "pipe",
      ],
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
    const timer = options.timeoutMs ? setTimeout(() => child.kill("SIGKILL"), options.timeoutMs) : undefined;
    let finished = false;
    const finish = (code: number) => {
      if (options.inherit && !finished) borrowers -= 1;
      finished = true;
      clearTimeout(timer);
      resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    };
    child.on("error", () => finish(127));
    child.on("close", (code) => finish(code ?? 137));
    // A child that exits before it has read its input closes the pipe. Its exit code says more than EPIPE.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.stdin);
  });
}

/**
 * Runs a program that must succeed and returns its output, trimmed. Otherwise throws a `UserError` with its last lines.
 */
export async function output(program: string, args: string[], options: RunOptions = {}): Promise<string> {
  const result = await run(program, args, options);
  if (result.code !== 0) {
    const words = result.stderr.trim().split("\n").slice(-3).join(" ") || `exit code ${result.code}`;
    throw new UserError(`\`${program} ${args[0] ?? ""}\` failed: ${words}`, `Run it by hand to see more.`);
  }
  return result.stdout.trim();
}

/** An error for the person at the terminal: it says what is wrong and what to do, without a stack trace. */
export class UserError extends Error {
  constructor(
    /** One sentence: what is wrong. */
    readonly what: string,
    /** One sentence: what to do. */
    readonly fix: string,
  ) {
    super(`${what} ${fix}`);
    this.name = "UserError";
  }
}

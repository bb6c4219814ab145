import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { ensurePassphrase } from "../../platform/project";

/** What a bench reads of an engine event; the engine's own times have whole seconds only. */
export interface EngineEvent {
  /** Date.now() when the line was read. */
  at: number;
  /** `resourcePreEvent`, `resOutputsEvent`, … */
  kind: string;
  /** Logical name of the resource; absent for other events. */
  name?: string;
  type?: string;
  op?: string;
  /** Id of the resource once it is known. */
  id?: string;
}

interface Metadata {
  op: string;
  urn: string;
  type: string;
  new?: { id?: string };
}

export interface PulumiRun {
  began: number;
  ended: number;
  events: EngineEvent[];
}

/** A folder with a Pulumi program, and the environment of its commands. */
export interface Program {
  dir: string;
  stack: string;
  env: Record<string, string | undefined>;
}

/**
 * The environment of Pulumi's commands in a project's folder: its own passphrase and state, whatever the shell of the person who
 * measures has.
 */
export function programEnv({ dir, env }: Pick<Program, "dir" | "env">): NodeJS.ProcessEnv {
  return {
    ...process.env,
    ...env,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_BACKEND_URL: undefined,
    PULUMI_CONFIG_PASSPHRASE: undefined,
    PULUMI_CONFIG_PASSPHRASE_FILE: ensurePassphrase(dir),
  };
}

/** Makes the stack of a program that `gpubox up` does not bring up. */
export async function makeStack(program: Program): Promise<void> {
  await pulumi(program, ["stack", "select", "--create", "--secrets-provider", "passphrase"]);
}

/**
 * Runs a Pulumi command in a project's folder as a person's shell does, and waits for it.
 *
 * @param onEvent is called as events arrive; only commands with `--json` have any.
 * @throws Error with what the engine diagnosed when it fails.
 */
export async function pulumi(
  { dir, stack, env }: Program,
  args: string[],
  onEvent: (event: EngineEvent) => void = () => {},
): Promise<PulumiRun> {
  const events: EngineEvent[] = [];
  const words: string[] = [];
  const began = Date.now();
  const child = spawn("pulumi", [...args, "--stack", stack, "--non-interactive"], {
    cwd: dir,
    env: programEnv({ dir, env }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const hear = (line: string) => {
    const event = args.includes("--json") ? parseEvent(line) : undefined;
    if (!event) words.push(line);
    else if (event.kind !== "diagnosticEvent") {
      events.push(event);
      onEvent(event);
    }
  };
  createInterface({ input: child.stdout }).on("line", hear);
  createInterface({ input: child.stderr }).on("line", (line) => words.push(line));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  if (code !== 0) {
    const diagnostics = words.slice(Math.max(0, words.indexOf("Diagnostics:"))).slice(0, 40);
    throw new Error(`pulumi ${args[0]} failed with exit code ${code}:\n${diagnostics.join("\n")}`);
  }
  return { began, ended: Date.now(), events };
}

function parseEvent(line: string): EngineEvent | undefined {
  if (!line.startsWith("{")) return undefined;
  const value = JSON.parse(line) as Record<string, { metadata?: Metadata } | number>;
  const kind = Object.keys(value).find((key) => key.endsWith("Event"));
  const body = kind ? value[kind] : undefined;
  if (!kind || typeof body !== "object") return undefined;
  const { op, urn, type, new: state } = body.metadata ?? {};
  return { at: Date.now(), kind, op, type, name: urn?.split("::").at(-1), id: state?.id };
}

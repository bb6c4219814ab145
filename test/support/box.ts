import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { type RunResult, run } from "../../platform/process";
import type { TestProject } from "./project";

/** Containers of a stack: logical name to id, running ones only. */
export async function containersOf(stack: string): Promise<Record<string, string>> {
  const format = '{{.Label "gpubox.role"}} {{.ID}}';
  const args = ["ps", "--no-trunc", "--filter", `label=gpubox.stack=${stack}`, "--format", format];
  const { stdout } = await run("docker", args);
  const lines = stdout.split("\n").filter(Boolean);
  return Object.fromEntries(lines.map((line) => line.split(" ") as [string, string]));
}

/** Names of the containers that are not the same in both. */
export function changed(before: Record<string, string>, after: Record<string, string>): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name]).sort();
}

/** Edits sections of the stack's config in place, as a person does: secrets and everything else stay. */
export function editStack({ dir, stack }: TestProject, edit: (config: Record<string, never>) => void): void {
  const path = join(dir, `Pulumi.${stack}.yaml`);
  const file = parse(readFileSync(path, "utf8"));
  edit(file.config);
  writeFileSync(path, stringify(file));
}

/** A command in a normal shell, after the exports that `up` printed. */
export function inShell(project: TestProject, exports: string[], command: string): Promise<RunResult> {
  return run("bash", ["-c", [...exports, command].join("\n")], {
    cwd: project.dir,
    env: project.env,
    timeoutMs: 600_000,
  });
}

/** The export lines that `up` printed for a shell of one's own. */
export function exportsIn(output: string): string[] {
  return output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("export "));
}

/** The box's master key, as a person reads it after the exports that `up` printed. */
export async function masterKeyOf(project: TestProject, exports: string[]): Promise<string> {
  const get = `pulumi config get gpubox:masterKey --stack ${project.stack}`;
  return (await inShell(project, exports, get)).stdout.trim();
}

/** One completion; the answer's text, or the status and body where there is none. */
export async function complete(endpoint: string, key: string, model: string): Promise<string> {
  const answer = await fetch(`${endpoint}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "ping" }], max_tokens: 32 }),
  });
  const text = await answer.text();
  return answer.ok ? JSON.parse(text).choices[0].message.content : `${answer.status} ${text}`;
}

/** Public names that /v1/models lists. */
export async function modelsAt(endpoint: string, key: string): Promise<string[]> {
  const answer = await fetch(`${endpoint}/v1/models`, { headers: { authorization: `Bearer ${key}` } });
  const body = (await answer.json()) as { data: { id: string }[] };
  return body.data.map((model) => model.id).sort();
}

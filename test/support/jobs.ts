import { join } from "node:path";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { readJobKey } from "../../operations/jobs";
import { output, run } from "../../platform/process";
import type { TestProject } from "./project";

/** A job that the test started, as a harness sees it. */
export interface JobClient {
  endpoint: string;
  key: string;
  model: string;
}

/** Folder of a job of a test's project. */
export function jobFolder({ dir }: TestProject, job: string): string {
  return join(dir, "artifacts", "litellm", job);
}

/** What clients of a job send: from the file that only the job's owner reads. */
export function jobKey(project: TestProject, job: string): string {
  return readJobKey(jobFolder(project, job));
}

/** Both protocols, plain and streamed, by the vendors' own clients; the four answers. */
export async function talk({ endpoint, key, model }: JobClient, text: string): Promise<string[]> {
  const openai = new OpenAI({ baseURL: `${endpoint}/v1`, apiKey: key, maxRetries: 0 });
  const anthropic = new Anthropic({ baseURL: endpoint, apiKey: key, maxRetries: 0 });
  const body = { model, max_tokens: 64, messages: [{ role: "user" as const, content: text }] };
  const completions = [
    await openai.chat.completions.create(body),
    await openai.chat.completions.stream(body).finalChatCompletion(),
  ];
  const messages = [
    await anthropic.messages.create(body),
    await anthropic.messages.stream(body).finalMessage(),
  ];
  return [
    ...completions.map(({ choices }) => choices[0]!.message.content ?? ""),
    ...messages.map(({ content }) => content.map((part) => ("text" in part ? part.text : "")).join("")),
  ];
}

/** A streamed answer of `seconds`, which ends with `[DONE]` unless it was cut. Resolves once it has begun. */
export async function longStream(
  { endpoint, key, model }: JobClient,
  seconds: number,
): Promise<{ rest: Promise<string> }> {
  const ask = `nonce=long chunks=${seconds * 10} interval=0.1 fault=none`;
  const answer = await fetch(`${endpoint}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model, stream: true, messages: [{ role: "user", content: ask }] }),
  });
  if (!answer.ok || !answer.body) throw new Error(`${answer.status}: ${await answer.text()}`);
  const reader = answer.body.getReader();
  const first = await reader.read();
  const rest = async () => {
    let text = Buffer.from(first.value ?? []).toString();
    for (let part = await reader.read(); !part.done; part = await reader.read())
      text += Buffer.from(part.value).toString();
    return text;
  };
  return { rest: rest() };
}

/** When each of a stack's containers was started: name to time. What was touched has another time, or is gone. */
export async function startTimes(stack: string): Promise<Record<string, string>> {
  const ids = await output("docker", ["ps", "--quiet", "--filter", `label=gpubox.stack=${stack}`]);
  const format = "{{.Name}} {{.Id}} {{.State.StartedAt}}";
  const { stdout } = await run("docker", ["inspect", "--format", format, ...ids.split("\n")]);
  const lines = stdout.trim().split("\n");
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]),
  );
}

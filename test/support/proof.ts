import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../platform/process";
import { python3 } from "./python";

// The proof of a gateway, which runs against a stub that gives answers in order.

// With a quote and shell syntax: the script has to read the env file as `sh` does.
export const KEY = "sk-it's $HOME`x`\\n#1";
const ENV = `# made by gpubox\nOTHER='a=b'\nLITELLM_MASTER_KEY='${KEY.replaceAll("'", "'\\''")}'\nLAST='z'\n`;

export type Reply = { status?: number; body: unknown };
export type Replies = Record<string, Reply[]>;
interface Model {
  hash: string;
  mode: string;
  prove: boolean;
  elsewhere?: string[];
}

export const chat = (hash: string): Model => ({ hash, mode: "chat", prove: true });
export const generation = (models: Record<string, Model>, database = false) => ({
  generation: "g2",
  database,
  models,
});
export const opening = (...opens: string[]) => ({ ...generation({ tiny: chat("a") }), opens });
export const listing = (...names: string[]): Reply[] => [{ body: { data: names.map((id) => ({ id })) } }];
export const said: Reply = { body: { choices: [{ message: { content: "pong" }, finish_reason: "stop" }] } };
export const ready: Reply = { body: { status: "healthy", db: "connected" } };

const servers: Server[] = [];
const root = mkdtempSync(join(tmpdir(), "gpubox-prove-"));
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});
afterAll(() => rmSync(root, { recursive: true }));

export interface Case {
  /** Path, or path and model, to its answers in order; the last one is repeated. */
  replies?: Replies;
  declared?: unknown;
  serving?: string;
  envFile?: string;
  deadline?: number;
  env?: Record<string, string>;
}

/** Runs the script against a gateway that gives these replies; what was asked comes back as `path model`. */
export async function prove({
  replies = {},
  declared,
  serving = "",
  envFile = ENV,
  deadline = 5,
  env = {},
}: Case) {
  const all: Replies = { "/health/readiness": [ready], "/v1/models": listing("tiny"), ...replies };
  const asked: string[] = [];
  const bodies: string[] = [];
  const keys = new Set<string | undefined>();
  const stub = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString();
    const target = body === "" ? `${request.url}` : `${request.url} ${JSON.parse(body).model}`;
    asked.push(target);
    if (body) bodies.push(body);
    keys.add(request.headers.authorization);
    const queue = all[target] ?? [said];
    const reply = queue.length > 1 ? queue.shift()! : queue[0]!;
    const text = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body);
    response.writeHead(reply.status ?? 200).end(text);
  }).listen(0, "127.0.0.1");
  servers.push(stub);
  await new Promise((resolve) => stub.once("listening", resolve));
  const directory = mkdtempSync(join(root, "case-"));
  writeFileSync(join(directory, "gateway.env"), envFile);
  const text =
    typeof declared === "string" ? declared : JSON.stringify(declared ?? generation({ tiny: chat("a") }));
  writeFileSync(join(directory, "generation.json"), text);
  const script = join(__dirname, "../../assets/gateway/prove.py");
  const url = `http://127.0.0.1:${(stub.address() as AddressInfo).port}`;
  const began = performance.now();
  const { code, stdout, stderr } = await run(python3, [script, "--deadline", `${deadline}`], {
    stdin: serving,
    env: { GPUBOX_PROVE_URL: url, GPUBOX_PROVE_DIR: directory, ...env },
  });
  return {
    code,
    lines: stdout
      .replace(/\d+\.\d s/g, "N s")
      .split("\n")
      .slice(0, -1),
    stderr,
    asked,
    bodies,
    keys,
    seconds: (performance.now() - began) / 1000,
  };
}

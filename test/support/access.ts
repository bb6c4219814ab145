import { z } from "zod";
import { output } from "../../platform/process";
import { gatewaySql } from "./postgres";
import { gpubox, type TestProject } from "./project";

const body = z.looseObject({
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).optional(),
  error: z.looseObject({ type: z.string().nullish(), message: z.string() }).optional(),
});

/** What a gateway answered, and when, in seconds of the epoch. */
const answered = z.object({ status: z.number(), body, at: z.number() });
export type Answered = z.infer<typeof answered>;

const request = (model: string) => ({ model, messages: [{ role: "user", content: "ping" }], max_tokens: 8 });

/** One completion at the clients' port. */
export async function call(endpoint: string, key: string, model: string): Promise<Answered> {
  const answer = await fetch(`${endpoint}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(request(model)),
  });
  return answered.parse({ status: answer.status, body: await answer.json(), at: Date.now() / 1000 });
}

const ASK = `import json, sys, time, urllib.error, urllib.request
key, count, body = json.load(sys.stdin)
for _ in range(count):
    request = urllib.request.Request("http://127.0.0.1:4000/v1/chat/completions", data=json.dumps(body).encode())
    request.add_header("Authorization", "Bearer " + key)
    request.add_header("Content-Type", "application/json")
    at = time.time()
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    print(json.dumps({"status": answer.status, "body": json.load(answer), "at": at}))
    time.sleep(0.1)
`;

/** Calls of one gateway, past the edge, one after another. */
export async function askReplica(container: string, key: string, count: number): Promise<Answered[]> {
  const said = await output("docker", ["exec", "-i", container, "python3", "-c", ASK], {
    stdin: JSON.stringify([key, count, request("tiny")]),
  });
  return said.split("\n").map((line) => answered.parse(JSON.parse(line)));
}

/** Ids of a stack's gateways. */
export async function gatewaysOf(stack: string): Promise<string[]> {
  const filters = ["--filter", `label=gpubox.stack=${stack}`, "--filter", "label=gpubox.role=gateway"];
  return (await output("docker", ["ps", "-q", ...filters])).split("\n");
}

const usage = z.object({ name: z.string(), requests: z.number(), failed: z.number(), usd: z.number() });

/** What `gpubox usage` says of each key. */
export async function usageOf(project: TestProject): Promise<Record<string, z.infer<typeof usage>>> {
  const { stdout } = await gpubox(project, "usage", "--json");
  const { key } = z.object({ key: z.array(usage) }).parse(JSON.parse(stdout));
  return Object.fromEntries(key.map((one) => [one.name, one]));
}

const row = z.object({
  alias: z.string(),
  spend: z.number(),
  team: z.string().nullable(),
  budget: z.number().nullable(),
  /** When its settings changed last, whatever it spends. */
  changed: z.string().nullable(),
});

/** Name of a key to its row. */
export type Rows = Record<string, z.infer<typeof row>>;

/** The keys in a stack's database. */
export async function rowsOf(stack: string): Promise<Rows> {
  const found = await gatewaySql(
    { prefix: `gpubox-${stack}` },
    `SELECT json_build_object('alias', key_alias, 'spend', spend, 'team', team_id, 'budget', max_budget, 'changed', settings_updated_at) FROM "LiteLLM_VerificationToken" WHERE key_alias IS NOT NULL ORDER BY key_alias`,
  );
  const rows = found.split("\n").map((line) => row.parse(JSON.parse(line)));
  return Object.fromEntries(rows.map((one) => [one.alias, one]));
}

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { within } from "../../platform/within";
import { parsed, serverMessage } from "./routes";

/** Where and how a virtual key is tried. */
export interface KeyTrial {
  /** Base URL of the admin port, for example `http://127.0.0.1:4001`. */
  admin: string;
  /** The master key: it makes the virtual one, and is never printed. */
  masterKey: string;
  /** The model that the key may use. */
  model: string;
  /** Asks that model as a client with a key of its own; the answer's status is 200. */
  ask: (key: string) => Promise<void>;
  /** Longest time for one request, in milliseconds. */
  timeoutMs: number;
}

/**
 * Milliseconds until a request's spend has to be in the database: LiteLLM writes every few seconds, unless
 * `proxy_batch_write_at` says otherwise.
 */
const WRITTEN_MS = 40_000;

/** How the name of a smoke test's key begins. */
export const SMOKE_KEY = "gpubox-smoke";

/** The key removes itself after this, should the trial be cut off. */
const LIFE = "10m";

const Made = z.object({ key: z.string().min(1), token: z.string().min(1) });
const Logs = z.array(z.object({ api_key: z.string(), spend: z.number() }));

/**
 * Shows that the database keeps keys and spend: makes a virtual key for one model, asks with it, finds the request in the spend
 * log, and deletes the key.
 *
 * @returns what was seen, for example `made, asked tiny, $0.00 spent, deleted`
 * @throws Error with the server's own words
 */
export async function tryVirtualKey({ admin, masterKey, model, ask, timeoutMs }: KeyTrial): Promise<string> {
  const call = async (path: string, body?: unknown) => {
    const answer = await within(timeoutMs, (signal) =>
      fetch(`${admin}${path}`, {
        method: body ? "POST" : "GET",
        headers: { authorization: `Bearer ${masterKey}`, "content-type": "application/json" },
        ...(body ? { body: JSON.stringify(body) } : {}),
        redirect: "manual",
        signal,
      }),
    );
    const text = await answer.text();
    if (answer.status !== 200)
      throw new Error(`${path.split("?")[0]}: status ${answer.status}: ${serverMessage(text)}`);
    return text;
  };

  const alias = `${SMOKE_KEY}-${randomBytes(4).toString("hex")}`;
  const made = parsed(
    Made,
    await call("/key/generate", {
      key_alias: alias,
      models: [model],
      duration: LIFE,
      metadata: { gpubox: "smoke" },
    }),
  );
  try {
    await ask(made.key);
    const usd = await spent(() => call(`/spend/logs?api_key=${made.token}`), made.token);
    return `made, asked ${model}, $${usd.toFixed(2)} spent, deleted`;
  } finally {
    await call("/key/delete", { keys: [made.token] });
  }
}

async function spent(logs: () => Promise<string>, token: string): Promise<number> {
  const deadline = Date.now() + WRITTEN_MS;
  for (;;) {
    const rows = parsed(Logs, await logs()).filter(({ api_key }) => api_key === token);
    if (rows.length > 0) return rows.reduce((sum, { spend }) => sum + spend, 0);
    if (Date.now() > deadline)
      throw new Error(`its request is not in the spend log after ${WRITTEN_MS / 1000} s`);
    await sleep(500);
  }
}

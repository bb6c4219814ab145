import { createHash } from "node:crypto";
import { z } from "zod";
import type { StackConfig } from "../../configs/stack/config";
import type { ReadableDatabase } from "../../platform/box/database";
import { litellmRows } from "../../platform/box/litellmTables";

const row = z.object({
  token: z.string(),
  alias: z.string().nullable(),
  team: z.string().nullable(),
  spend: z.number(),
  budget: z.number().nullable(),
  resets: z.string().nullable(),
  expires: z.string().nullable(),
  active: z.string().nullable(),
  blocked: z.boolean().nullable(),
});

type Row = z.infer<typeof row>;

/** A virtual key as people see it, without its value. */
export interface KeyState {
  name: string;
  /** `missing`: declared, but not in the database. `undeclared`: in the database, but not made from this config. */
  state: "ok" | "missing" | "expired" | "blocked" | "used up" | "undeclared";
  team?: string;
  /** US dollars, since the start of the budget period where there is one. */
  spentUsd: number;
  budgetUsd?: number;
  leftUsd?: number;
  /** When the budget restarts, when the key expires, and when it was last used: ISO, UTC. */
  resets?: string;
  expires?: string;
  lastUsed?: string;
}

/** LiteLLM also stores UI sessions as keys, which belong to nobody. */
const SELECT = `SELECT k.token, k.key_alias AS alias, coalesce(t.team_alias, k.team_id) AS team, k.spend,
  k.max_budget AS budget, to_char(k.budget_reset_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS resets,
  to_char(k.expires, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS expires,
  to_char(k.last_active, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS active, k.blocked
FROM "LiteLLM_VerificationToken" k LEFT JOIN "LiteLLM_TeamTable" t USING (team_id)
WHERE k.team_id IS DISTINCT FROM 'litellm-dashboard' ORDER BY k.key_alias, k.token`;

/**
 * The declared keys by name with their state in the database, then the keys that others made.
 *
 * @param secrets values by name, to find a key in the database, which knows only hashes
 */
export async function virtualKeyStates(
  at: ReadableDatabase,
  { access }: StackConfig,
  secrets: Record<string, string>,
  now = new Date(),
): Promise<KeyState[]> {
  const rows = new Map((await litellmRows(at, row, SELECT)).map((one) => [one.token, one]));
  const take = (name: string, secret: string): KeyState => {
    const token = createHash("sha256")
      .update(secrets[secret] ?? "")
      .digest("hex");
    const found = rows.get(token);
    rows.delete(token);
    return found ? stateOf(name, found, now) : { name, state: "missing", spentUsd: 0 };
  };
  const declared = Object.entries(access.keys)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, { key, previous }]) => [
      take(name, key.secret),
      ...(previous ? [take(`${name} (previous)`, previous.secret)] : []),
    ]);
  const others = [...rows.values()].map((found) => ({
    ...stateOf(found.alias ?? found.token.slice(0, 8), found, now),
    state: "undeclared" as const,
  }));
  return [...declared, ...others];
}

function stateOf(name: string, found: Row, now: Date): KeyState {
  const { spend, budget, team, expires } = found;
  const state = () => {
    if (found.blocked) return "blocked";
    if (expires && new Date(expires) <= now) return "expired";
    return budget !== null && spend >= budget ? "used up" : "ok";
  };
  return {
    name,
    state: state(),
    team: team ?? undefined,
    spentUsd: spend,
    budgetUsd: budget ?? undefined,
    leftUsd: budget === null ? undefined : Math.max(0, budget - spend),
    resets: found.resets ?? undefined,
    expires: expires ?? undefined,
    lastUsed: found.active ?? undefined,
  };
}

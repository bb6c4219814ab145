import { z } from "zod";
import type { StackConfig } from "../../configs/stack/config";
import { adminUrl } from "../../configs/stack/ports";
import type { ReadableDatabase } from "../../platform/box/database";
import { litellmRows } from "../../platform/box/litellmTables";
import { UserError } from "../../platform/process";
import { within } from "../../platform/within";

const row = z.object({
  id: z.string(),
  alias: z.string().nullable(),
  email: z.string().nullable(),
  role: z.string().nullable(),
  teams: z.array(z.string()),
  spend: z.number(),
  budget: z.number().nullable(),
  resets: z.string().nullable(),
  login: z.boolean(),
});

type Row = z.infer<typeof row>;

/** A person as LiteLLM's database has them. */
export interface PersonState {
  name: string;
  /** `missing`: declared, but not in the database. `undeclared`: not made from this config. `no login yet`: never signed in. */
  state: "ok" | "missing" | "no login yet" | "used up" | "undeclared";
  email?: string;
  role?: string;
  /** US dollars, since the start of the budget period where there is one. */
  spentUsd: number;
  budgetUsd?: number;
  leftUsd?: number;
  /** When the budget restarts: ISO, UTC. */
  resets?: string;
}

/** LiteLLM keeps the shared login of the UI, and the budget of the whole gateway, as people too. */
const SELECT = `SELECT user_id AS id, user_alias AS alias, user_email AS email, user_role AS role, teams, spend,
  max_budget AS budget, to_char(budget_reset_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS resets,
  (password IS NOT NULL OR sso_user_id IS NOT NULL) AS login
FROM "LiteLLM_UserTable" WHERE user_id NOT IN ('default_user_id', 'litellm-proxy-budget') ORDER BY user_alias, user_id`;

/** The declared people by name with their state in the database, then those whom others made. */
export async function peopleStates(
  at: ReadableDatabase,
  { stack, access }: Pick<StackConfig, "stack" | "access">,
): Promise<PersonState[]> {
  const rows = new Map((await litellmRows(at, row, SELECT)).map((one) => [one.id, one]));
  const declared = Object.entries(access.users)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { email, role }]): PersonState => {
      const found = rows.get(personId(stack, name));
      rows.delete(personId(stack, name));
      return found ? stateOf(name, found) : { name, state: "missing", email, role, spentUsd: 0 };
    });
  const others = [...rows.values()].map((found) => ({
    ...stateOf(found.alias ?? found.id, found),
    state: "undeclared" as const,
  }));
  return [...declared, ...others];
}

function stateOf(name: string, { email, role, spend, budget, resets, login }: Row): PersonState {
  const usedUp = budget !== null && spend >= budget;
  return {
    name,
    state: usedUp ? "used up" : login ? "ok" : "no login yet",
    email: email ?? undefined,
    role: role ?? undefined,
    spentUsd: spend,
    budgetUsd: budget ?? undefined,
    leftUsd: budget === null ? undefined : Math.max(0, budget - spend),
    resets: resets ?? undefined,
  };
}

/**
 * Invites a declared person to choose a password.
 *
 * @param reach makes a way to the admin port, and gives its base URL
 * @returns the link, which works once, for a week; whoever has it becomes that person
 */
export async function invite(
  config: StackConfig,
  name: string,
  masterKey: string,
  reach: () => Promise<string>,
): Promise<string> {
  if (!Object.hasOwn(config.access.users, name))
    throw new UserError(
      `${name} is not declared.`,
      "Declare the person under gpubox:access.users, and run `gpubox up`.",
    );
  const admin = await reach();
  const answer = await within(30_000, (signal) =>
    fetch(`${admin}/invitation/new`, {
      method: "POST",
      headers: { authorization: `Bearer ${masterKey}`, "content-type": "application/json" },
      body: JSON.stringify({ user_id: personId(config.stack, name) }),
      redirect: "manual",
      signal,
    }),
  );
  if (answer.status !== 200)
    throw new UserError(
      `LiteLLM answered the invitation with status ${answer.status}.`,
      "`gpubox people` says whether the person is in the database; `gpubox up` makes who is missing.",
    );
  const { id } = z.object({ id: z.string() }).parse(await answer.json());
  return `${adminUrl(config)}/ui/onboarding?invitation_id=${encodeURIComponent(id)}`;
}

/** As the plan names people in LiteLLM's database. */
function personId(stack: string, name: string): string {
  return `gpubox-${stack}-${name}`;
}

import { createHash } from "node:crypto";
import { z } from "zod";
import type { ReadableDatabase } from "../../platform/box/database";
import { litellmRows, sqlText } from "../../platform/box/litellmTables";
import { UserError } from "../../platform/process";
import { SMOKE_KEY } from "../smoke/virtualKey";

/** What spend is grouped by. */
export const GROUPS = ["model", "key", "day"] as const;

export type Group = (typeof GROUPS)[number];

const usageRow = z.object({
  name: z.string(),
  requests: z.number(),
  failed: z.number(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  usd: z.number(),
});

/** Requests, tokens and US dollars of one model, key or day. */
export type Usage = z.infer<typeof usageRow>;

/** The names under which LiteLLM counts the master key's requests. */
const MASTER_NAME = "litellm_proxy_master_key";
const MASTER = [MASTER_NAME, createHash("sha256").update(MASTER_NAME).digest("hex")].map(sqlText).join(", ");

/**
 * A key's name, even after its deletion. A key without a name gets the start of its hash. Each smoke test makes a key of its own,
 * which all together are one line.
 */
const KEY_NAME = `CASE WHEN d.api_key IN (${MASTER}) THEN 'master key' ELSE regexp_replace(coalesce(
  (SELECT key_alias FROM "LiteLLM_VerificationToken" WHERE token = d.api_key),
  (SELECT key_alias FROM "LiteLLM_DeletedVerificationToken" WHERE token = d.api_key AND key_alias IS NOT NULL LIMIT 1),
  left(d.api_key, 8)), '^${SMOKE_KEY}-[0-9a-f]{8}$', '${SMOKE_KEY}') END`;

const NAMES: Record<Group, string> = {
  model: "coalesce(nullif(d.model_group, ''), nullif(d.model, ''), 'none')",
  key: KEY_NAME,
  day: "d.date",
};

/**
 * Spend since a day, highest first; days in order. It comes from LiteLLM's daily sums, which outlive the log of single
 * requests and lag by up to a minute.
 *
 * @param since `2026-11-01`, UTC
 */
export function usageBy(at: ReadableDatabase, group: Group, since: string): Promise<Usage[]> {
  const select = `SELECT ${NAMES[group]} AS name, sum(d.api_requests) AS requests, sum(d.failed_requests) AS failed,
  sum(d.prompt_tokens) AS "inputTokens", sum(d.completion_tokens) AS "outputTokens", sum(d.spend) AS usd
FROM "LiteLLM_DailyUserSpend" d WHERE d.date >= ${sqlText(since)} GROUP BY 1
ORDER BY ${group === "day" ? "1" : "6 DESC, 2 DESC, 1"}`;
  return litellmRows(at, usageRow, select);
}

/**
 * Parses `--since`: a day, or a number of days back from today, UTC.
 *
 * @throws UserError for anything else
 */
export function sinceDay(text: string, now = new Date()): string {
  if (z.iso.date().safeParse(text).success) return text;
  const days = /^([1-9]\d{0,3})d$/.exec(text)?.[1];
  if (!days)
    throw new UserError(`"${text}" is not a time.`, "Write a day (2026-11-01) or a number of days (30d).");
  return new Date(now.getTime() - Number(days) * 86_400_000).toISOString().slice(0, 10);
}

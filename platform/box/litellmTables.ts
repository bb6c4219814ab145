import type { z } from "zod";
import { UserError } from "../process";
import { hasNoTables, ownerSql, type ReadableDatabase } from "./database";

/**
 * Rows of a SELECT over LiteLLM's tables. It cannot change anything.
 *
 * @param select one SELECT without a semicolon
 * @throws UserError when LiteLLM never created its tables
 */
export async function litellmRows<T>(at: ReadableDatabase, row: z.ZodType<T>, select: string): Promise<T[]> {
  if (await hasNoTables(at))
    throw new UserError(
      "The database has none of LiteLLM's tables.",
      "A gateway that can use the database creates them: `gpubox up` says whether this one can.",
    );
  const text = await ownerSql(
    at,
    `SET default_transaction_read_only = on; SET timezone = 'UTC';
SELECT coalesce(json_agg(r), '[]') FROM (${select}) r;`,
  );
  return row.array().parse(JSON.parse(text));
}

/** A value inside a statement. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

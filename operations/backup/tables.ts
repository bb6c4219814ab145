import { z } from "zod";

/** Number of rows of a table, and a sum over them that does not depend on their order. */
export const tableSchema = z.strictObject({ rows: z.int().min(0), sum: z.string().regex(/^-?\d{1,40}$/) });

/** Content of each table, by its name with its schema. */
export type Tables = Record<string, z.infer<typeof tableSchema>>;

/** Statements for psql that print a line for each table: name, rows, sum. */
export const TABLES = `SET search_path = pg_catalog;
SET timezone = 'UTC';
SELECT format('SELECT %L, count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM %I.%I t',
  nspname || '.' || relname, nspname, relname)
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY nspname, relname \\gexec
`;

/** Parses the lines that `TABLES` prints. */
export function parseTables(text: string): Tables {
  const lines = text.split("\n").map((line) => line.split("\t"));
  return Object.fromEntries(
    lines
      .filter((fields) => fields.length === 3)
      .map(([name = "", rows, sum = ""]) => [name, { rows: Number(rows), sum }]),
  );
}

/** Differences of two databases, a sentence for each table. Empty when they are equal. */
export function differences(backup: Tables, restored: Tables): string[] {
  const names = [...new Set([...Object.keys(backup), ...Object.keys(restored)])].sort();
  return names.flatMap((name) => {
    const [before, after] = [backup[name], restored[name]];
    if (!before) return [`${name} is not in the backup`];
    if (!after) return [`${name} is missing`];
    if (before.rows !== after.rows) return [`${name} has ${after.rows} rows instead of ${before.rows}`];
    return before.sum === after.sum ? [] : [`${name} has other rows, but as many`];
  });
}

import { adminSql, type DatabaseAt, LITELLM } from "../../platform/box/database";

/** The database that is being made, and the one that was there before: each only until the next step. */
export const NEXT = `${LITELLM}_next`;
const BEFORE = `${LITELLM}_before`;

/** An empty database of the gateway's role beside the one that serves. What an interrupted run left is removed. */
export async function makeNext(at: DatabaseAt): Promise<void> {
  // CREATE DATABASE stands in no transaction, so each is a statement of its own.
  await adminSql(at, `DROP DATABASE IF EXISTS ${NEXT} WITH (FORCE);`, "postgres");
  await adminSql(at, `CREATE DATABASE ${NEXT} OWNER ${LITELLM};`, "postgres");
}

export async function dropNext(at: DatabaseAt): Promise<void> {
  await adminSql(at, `DROP DATABASE IF EXISTS ${NEXT} WITH (FORCE);`, "postgres");
}

/**
 * Puts the new database in the place of the old one and drops that. Gateways lose their connections and make new ones; the
 * moment without a database is that of two renames. Where it fails, the old one is as it was.
 */
export async function swapIn(at: DatabaseAt): Promise<void> {
  await adminSql(at, `DROP DATABASE IF EXISTS ${BEFORE} WITH (FORCE);`, "postgres");
  try {
    await adminSql(
      at,
      `ALTER DATABASE ${LITELLM} ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '${LITELLM}';
BEGIN;
ALTER DATABASE ${LITELLM} RENAME TO ${BEFORE};
ALTER DATABASE ${NEXT} RENAME TO ${LITELLM};
COMMIT;`,
      "postgres",
    );
  } catch (error) {
    await adminSql(at, `ALTER DATABASE ${LITELLM} ALLOW_CONNECTIONS true;`, "postgres");
    throw error;
  }
  await adminSql(at, `DROP DATABASE ${BEFORE} WITH (FORCE);`, "postgres");
}

import { adminSql, type DatabaseAt, LITELLM } from "../../platform/box/database";
import { MAKE_RESTORER, RESTORER } from "./restoreRole";

/** The new database and the replaced one. Each exists only until the next step. */
export const NEXT = `${LITELLM}_next`;
const BEFORE = `${LITELLM}_before`;

/** psql sends each statement separately, because no transaction may create or drop a database. */
const DROP_NEXT = `DROP DATABASE IF EXISTS ${NEXT} WITH (FORCE);
DROP ROLE IF EXISTS ${RESTORER};`;

/**
 * Creates an empty database next to the serving one. Its schema `public` belongs to a role made for this, which has no
 * rights in any other database. The superuser keeps the database itself: its owner could change settings for everybody
 * who connects later. Removes the leftovers of an interrupted run.
 */
export async function makeNext(at: DatabaseAt): Promise<void> {
  await adminSql(
    at,
    `${DROP_NEXT}
${MAKE_RESTORER}
CREATE DATABASE ${NEXT} TEMPLATE template0;
REVOKE ALL ON DATABASE ${NEXT} FROM PUBLIC;
GRANT CONNECT ON DATABASE ${NEXT} TO ${RESTORER};
\\connect ${NEXT}
ALTER SCHEMA public OWNER TO ${RESTORER};`,
  );
}

/** Gives the gateway's role the database and everything in it. The role that filled it is gone by then. */
export async function adoptNext(at: DatabaseAt): Promise<void> {
  await adminSql(
    at,
    `BEGIN;
ALTER SCHEMA public OWNER TO pg_database_owner;
REASSIGN OWNED BY ${RESTORER} TO ${LITELLM};
DROP OWNED BY ${RESTORER};
DROP ROLE ${RESTORER};
ALTER DATABASE ${NEXT} OWNER TO ${LITELLM};
COMMIT;`,
    NEXT,
  );
}

/** Removes the new database and the role that should fill it. */
export async function dropNext(at: DatabaseAt): Promise<void> {
  await adminSql(at, DROP_NEXT);
}

/**
 * Replaces the old database with the new one and drops the old one. Gateways lose their connections and open new ones;
 * the database is absent only for the moment of two renames. After a failure the old database is unchanged.
 */
export async function swapIn(at: DatabaseAt): Promise<void> {
  await adminSql(at, `DROP DATABASE IF EXISTS ${BEFORE} WITH (FORCE);`);
  try {
    await adminSql(
      at,
      `ALTER DATABASE ${LITELLM} ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '${LITELLM}';
BEGIN;
ALTER DATABASE ${LITELLM} RENAME TO ${BEFORE};
ALTER DATABASE ${NEXT} RENAME TO ${LITELLM};
COMMIT;`,
    );
  } catch (error) {
    await adminSql(at, `ALTER DATABASE ${LITELLM} ALLOW_CONNECTIONS true;`);
    throw error;
  }
  await adminSql(at, `DROP DATABASE ${BEFORE} WITH (FORCE);`);
}

import { adminSql, type DatabaseAt, LITELLM } from "../../platform/box/database";
import { MAKE_RESTORER, RESTORER } from "./restoreRole";

/** The database that is being made, and the one that was there before: each only until the next step. */
export const NEXT = `${LITELLM}_next`;
const BEFORE = `${LITELLM}_before`;

/** psql sends each statement by itself: a database can be made or dropped in no transaction. */
const DROP_NEXT = `DROP DATABASE IF EXISTS ${NEXT} WITH (FORCE);
DROP ROLE IF EXISTS ${RESTORER};`;

/**
 * An empty database beside the one that serves, whose schema `public` belongs to a role that is made for it and has no right in
 * any other. The database itself stays the superuser's: its owner could change the settings of all who come into it later.
 * What an interrupted run left is removed.
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

/** Gives the gateway's role the database and all that is in it. The role that it was filled by is gone then. */
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

/** Removes the new database, and the role that it was to be filled by. */
export async function dropNext(at: DatabaseAt): Promise<void> {
  await adminSql(at, DROP_NEXT);
}

/**
 * Puts the new database in the place of the old one and drops that. Gateways lose their connections and make new ones; the
 * moment without a database is that of two renames. Where it fails, the old one is as it was.
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

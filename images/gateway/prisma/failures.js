// @ts-check

/**
 * Prisma's codes for errors of the driver and of the connection, which the engine on npm does not know.
 *
 * @typedef {import("./connection").Connection} Connection
 * @typedef {{ is_panic: false, error_code: string, message: string, meta: Record<string, unknown> }} Known
 */

/**
 * The driver's errors by number, as the engine keeps them. Prisma's own registry never forgets one: a database that is
 * away for an hour would fill the memory.
 */
class DriverErrors {
  constructor() {
    /** @type {Map<number, unknown>} */
    this.errors = new Map();
    this.last = 0;
  }

  /** @param {unknown} error */
  registerNewError(error) {
    this.last = (this.last + 1) % 1_000_000;
    this.errors.set(this.last, error);
    return this.last;
  }

  /** @param {number} number */
  consumeError(number) {
    const error = this.errors.get(number);
    this.errors.delete(number);
    return error === undefined ? undefined : { error };
  }
}

/**
 * @param {string} code
 * @param {string} message
 * @param {Record<string, unknown>} [meta]
 * @returns {Known}
 */
const known = (code, message, meta = {}) => ({ is_panic: false, error_code: code, message, meta });

/** @param {Connection} connection */
function unreachable({ host, port }) {
  const meta = { database_host: host, database_port: port };
  return known("P1001", `Can't reach database server at \`${host}:${port}\``, meta);
}

const closed = () => known("P1017", "Server has closed the connection.");

/**
 * @param {any} error what the driver threw
 * @param {Connection} connection
 * @returns {Known}
 */
function driverFailure(error, connection) {
  const message = String(error?.message ?? error);
  if (message === "timeout exceeded when trying to connect") {
    const { limit, poolSeconds } = connection;
    return known(
      "P2024",
      `Timed out fetching a new connection from the connection pool. More info: http://pris.ly/d/connection-pool (Current connection pool timeout: ${poolSeconds}, connection limit: ${limit})`,
      { connection_limit: limit, timeout: poolSeconds },
    );
  }
  if (/^timeout expired$|terminated due to connection timeout/.test(message)) return unreachable(connection);
  if (/Connection terminated|Connection ended|has encountered a connection error|not queryable/.test(message))
    return closed();
  if (message === "Query read timeout") return known("P1008", "Operations timed out");
  if (error?.syscall) return unreachable(connection);
  return known("P2010", `Raw query failed. Code: \`N/A\`. Message: \`${message}\``, { code: "N/A", message });
}

/**
 * What a server says that cannot serve now, for which the engine has no code: it starts, stops, stands by for another, or has no
 * room, memory or disk left. LiteLLM takes an error without a code for its rows' fault and drops them, and keeps them for a server that
 * it cannot reach. https://www.postgresql.org/docs/current/errcodes-appendix.html: classes 08, 53, 58, and these of 25 and 57.
 */
const NOT_NOW =
  /code: ["`](?:08|53|58)\w{3}["`]|code: ["`](?:25006|57P0[1-5])["`]|FATAL: (?:the database system is|terminating connection|could not )/i;

/**
 * @param {any} error of an answer of the engine: an entry of its `errors`, or the bare error of a transaction
 * @param {Connection} connection
 * @param {DriverErrors} driverErrors
 * @returns {any} the same for the client
 */
function userFacing(error, connection, driverErrors) {
  const own = error.user_facing_error ?? (error.error_code ? error : undefined);
  const better = NOT_NOW.test(own?.message ?? error.message ?? error.error)
    ? unreachable(connection)
    : own && improved(own, connection, driverErrors);
  if (!better) return error;
  return error.user_facing_error ? { error: better.message, user_facing_error: better } : better;
}

/**
 * @param {{ error_code: string, meta?: { id?: number, code?: string, message?: string } }} failure
 * @param {Connection} connection
 * @param {DriverErrors} driverErrors
 * @returns {Known | undefined} undefined where the engine's own words are right
 */
function improved({ error_code, meta = {} }, connection, driverErrors) {
  // "Error in external connector (id …)".
  if (error_code === "P2036")
    return driverFailure(driverErrors.consumeError(Number(meta.id))?.error, connection);
  // SQL that did not reach the database.
  if (error_code !== "P2010" || meta.code !== "N/A") return undefined;
  if (/^Database not reachable|socket timeout/i.test(meta.message ?? "")) return unreachable(connection);
  return /connection (was )?closed/i.test(meta.message ?? "") ? closed() : undefined;
}

/** Prisma's codes for the database's reasons not to let anybody in. */
const REFUSALS = new Map([
  ["28P01", "P1000"],
  ["28000", "P1010"],
  ["3D000", "P1003"],
  ["53300", "P2037"],
]);

/**
 * @param {any} error of the first connection
 * @param {Connection} connection
 * @returns {Known}
 */
function connectFailure(error, connection) {
  const { message, ...rest } = unreachable(connection);
  const tls = /^(?:ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)|ISSUER/.test(
    error.code ?? "",
  );
  const notOffered = /does not support SSL|establishing an SSL/.test(error.message);
  if (tls || notOffered) return known("P1011", `Error opening a TLS connection: ${error.message}`);
  return {
    ...rest,
    message: `${message}: ${error.message}`,
    error_code: REFUSALS.get(error.code) ?? "P1001",
  };
}

module.exports = { DriverErrors, connectFailure, unreachable, userFacing };

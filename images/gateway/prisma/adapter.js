// @ts-check

const { PrismaPg } = require("@prisma/adapter-pg");
const { DriverAdapterError } = require("@prisma/driver-adapter-utils");
const { Client, types } = require("pg");

/** @typedef {import("./connection").Connection} Connection */

// "char", name and name[], which Prisma's adapter refuses and its native engines read as text.
const [TEXT, TEXT_ARRAY] = [25, 1009];
const READ_AS_TEXT = new Map([
  [18, TEXT],
  [19, TEXT],
  [1003, TEXT_ARRAY],
]);

/**
 * node-postgres gives a client as long to connect as a query may wait for a free connection. Prisma has a limit for each.
 *
 * @param {number} milliseconds
 */
const clientThatConnectsWithin = (milliseconds) =>
  class extends Client {
    /** @param {any} options */
    constructor(options) {
      // The pool hides the password from copies.
      super({ ...options, password: options.password, connectionTimeoutMillis: milliseconds });
    }
  };

/**
 * @param {Connection} connection
 * @returns {object} what `Pool` and `Client` of node-postgres take
 */
function poolOptions(connection) {
  return {
    host: connection.host,
    port: connection.port,
    user: connection.user,
    password: connection.password,
    database: connection.database,
    application_name: connection.applicationName,
    options: connection.options,
    ssl: connection.tls ?? false,
    keepAlive: true,
    max: connection.limit,
    Client: clientThatConnectsWithin(connection.connectSeconds * 1000),
    connectionTimeoutMillis: connection.poolSeconds * 1000,
    query_timeout: connection.socketSeconds * 1000 || undefined,
    idleTimeoutMillis: connection.idleSeconds * 1000,
    maxLifetimeSeconds: connection.lifetimeSeconds,
  };
}

/**
 * Opens one connection and closes it again: an engine without its database does not start. With `sslmode=prefer`, a server
 * without TLS is spoken to in plain text from now on.
 *
 * @param {Connection} connection
 * @returns {Promise<Connection>}
 */
async function reachable(connection) {
  const client = new (clientThatConnectsWithin(connection.connectSeconds * 1000))(poolOptions(connection));
  // A connection that breaks while it closes must not end the process.
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (error) {
    const plain = error instanceof Error && error.message === "The server does not support SSL connections";
    if (!plain || !connection.tlsOptional) throw error;
    return reachable({ ...connection, tls: undefined, tlsOptional: false });
  }
  await client.end();
  return connection;
}

/**
 * Prisma's adapter for Postgres, with what it does wrong set right.
 *
 * @param {Connection} connection
 * @param {(error: Error) => void} onLost gets what happens to connections that nobody uses at the moment
 */
async function connectAdapter(connection, onLost) {
  const factory = new PrismaPg(poolOptions(connection), {
    schema: connection.schema,
    onPoolError: onLost,
    onConnectionError: onLost,
  });
  const adapter = await factory.connect();
  readMoreTypes(adapter);
  beginAgain(adapter);
  return adapter;
}

/** @param {object} adapter */
function readMoreTypes(adapter) {
  types.setTypeParser(1003, types.getTypeParser(TEXT_ARRAY));
  // That of the queries of a transaction, too.
  const queryable = Object.getPrototypeOf(Object.getPrototypeOf(adapter));
  if (queryable.readsMoreTypes) return;
  queryable.readsMoreTypes = true;
  const { performIO } = queryable;
  /** @param {unknown} query */
  queryable.performIO = async function (query) {
    const result = await performIO.call(this, query);
    for (const field of result.fields ?? [])
      field.dataTypeID = READ_AS_TEXT.get(field.dataTypeID) ?? field.dataTypeID;
    return result;
  };
}

/**
 * A connection may have died in the pool unnoticed. A transaction that could not begin has done nothing: it begins again on
 * another one.
 *
 * @param {{ startTransaction: (level?: any) => Promise<any> }} adapter
 */
function beginAgain(adapter) {
  const begin = adapter.startTransaction.bind(adapter);
  adapter.startTransaction = (level) =>
    begin(level).catch((error) => {
      if (isLost(error)) return begin(level);
      throw error;
    });
}

/**
 * The database's words for a connection that it closes, and node-postgres's for one that is closed.
 *
 * @param {{ message?: string, code?: string, cause?: { kind?: string, originalCode?: string } }} error
 */
function isLost({ message = "", code, cause }) {
  return (
    cause?.kind === "ConnectionClosed" ||
    /^57P0[123]$/.test(cause?.originalCode ?? code ?? "") ||
    /Connection terminated|Connection ended|has encountered a connection error|not queryable/.test(message)
  );
}

/**
 * Runs a migration as one script. The adapter would cut it at every `;`, also inside of `DO $$ … $$`.
 *
 * @param {any} adapter
 * @param {(error: any) => void} onFailed gets the database's error, whose text the schema engine shortens
 */
function runWholeScripts(adapter, onFailed) {
  adapter.executeScript = async (/** @type {string} */ script) => {
    try {
      await adapter.underlyingDriver().query(script);
    } catch (/** @type {any} */ error) {
      onFailed(error);
      const { code, severity, message, detail, column, hint } = error;
      // Without a severity it is the connection's error, not the database's.
      if (!severity) return adapter.onError(error);
      const original = { originalCode: code, originalMessage: message };
      throw new DriverAdapterError({
        kind: "postgres",
        ...{ code, severity, message, detail, column, hint },
        ...original,
      });
    }
  };
}

module.exports = { connectAdapter, isLost, poolOptions, reachable, runWholeScripts };

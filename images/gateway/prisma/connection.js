// @ts-check

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { StartError } = require("./schema");

/**
 * Prisma's connection string, and libpq's where the two do not contradict each other, for node-postgres.
 *
 * @typedef {object} Tls
 * @property {string} host what the certificate has to name; without it, node would compare an address with "localhost"
 * @property {boolean} rejectUnauthorized
 * @property {(() => undefined)} [checkServerIdentity]
 * @property {Buffer} [ca]
 * @property {Buffer} [cert]
 * @property {Buffer} [key]
 * @property {Buffer} [pfx]
 * @property {string} [passphrase]
 *
 * @typedef {object} Connection
 * @property {string} host a directory for a Unix socket
 * @property {number} port
 * @property {string} user
 * @property {string} password
 * @property {string} database
 * @property {string | undefined} applicationName
 * @property {string} schema
 * @property {string} options settings of the session
 * @property {Tls | undefined} tls
 * @property {boolean} tlsOptional true if the server may speak plain text
 * @property {number} limit connections at most
 * @property {number} connectSeconds until a new connection has to be there; 0: no limit
 * @property {number} poolSeconds that a query waits for a free connection; 0: no limit
 * @property {number} socketSeconds until a query has to be answered; 0: no limit
 * @property {number} idleSeconds after which an unused connection is closed; 0: never
 * @property {number} lifetimeSeconds after which a connection is replaced; 0: never
 */

const TLS_MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"];

/**
 * @param {string} text
 * @param {object} [from]
 * @param {string} [from.directory] where relative paths of certificates begin: that of the schema
 * @param {NodeJS.ProcessEnv} [from.env]
 * @returns {Connection}
 * @throws StartError whose message never holds the string, which has a password
 */
function readConnection(text, { directory = ".", env = process.env } = {}) {
  const { url, query } = parsed(text);
  /**
   * @param {string} name
   * @param {number} otherwise
   */
  const number = (name, otherwise) => {
    const value = query.get(name);
    if (value === null) return otherwise;
    if (!/^\d+$/.test(value)) throw invalid(`${name} has to be a whole number, and is not`);
    return Number(value);
  };
  const host = query.get("host") || decoded(url.hostname).replace(/^\[|\]$/g, "") || "localhost";
  const schema = query.get("schema") || "public";
  return {
    host,
    port: Number(url.port || 5432),
    user: decoded(url.username),
    // As libpq: the URL may be an argument of a program, which everybody on the host can read.
    password: decoded(url.password) || env.PGPASSWORD || "",
    database: decoded(url.pathname.slice(1)) || "postgres",
    applicationName: query.get("application_name") || undefined,
    schema,
    options: sessionOptions(schema, query.get("options")),
    ...tlsOf(host, query, directory, env),
    limit: Math.max(1, number("connection_limit", os.availableParallelism() * 2 + 1)),
    connectSeconds: number("connect_timeout", 5),
    poolSeconds: number("pool_timeout", 10),
    socketSeconds: number("socket_timeout", 0),
    idleSeconds: number("max_idle_connection_lifetime", 300),
    lifetimeSeconds: number("max_connection_lifetime", 0),
  };
}

/** @param {string} why */
const invalid = (why) => new StartError("P1013", `The provided database string is invalid: ${why}.`);

/** @param {string} text */
function parsed(text) {
  /** @type {URL} */
  let url;
  try {
    url = new URL(text);
  } catch {
    throw invalid("it is no URL");
  }
  if (!/^postgres(ql)?:$/.test(url.protocol))
    throw new StartError("P1012", "The URL must start with the protocol `postgresql://` or `postgres://`.");
  return { url, query: url.searchParams };
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid("a % in it is not followed by two hex digits");
  }
}

/**
 * The session is in UTC because the adapter takes every timestamp for UTC, whatever offset stands behind it. LiteLLM's own
 * SQL names tables without their schema.
 *
 * @param {string} schema
 * @param {string | null} own
 */
function sessionOptions(schema, own) {
  const searchPath = `"${schema.replaceAll('"', '""')}"`.replace(/[\\\s]/g, "\\$&");
  return [own, "-c TimeZone=UTC", `-c search_path=${searchPath}`].filter(Boolean).join(" ");
}

/**
 * Prisma's `sslcert` is the certificate authority, libpq's is the client's certificate and comes with `sslkey`.
 *
 * @param {string} host
 * @param {URLSearchParams} query
 * @param {string} directory
 * @param {NodeJS.ProcessEnv} env
 * @returns {{ tls: Tls | undefined, tlsOptional: boolean }}
 */
function tlsOf(host, query, directory, env) {
  const mode = query.get("sslmode") ?? "prefer";
  if (!TLS_MODES.includes(mode)) throw invalid(`sslmode has to be one of ${TLS_MODES.join(", ")}`);
  if (mode === "disable" || host.startsWith("/")) return { tls: undefined, tlsOptional: false };
  /** @param {string | null | undefined} file */
  const read = (file) => {
    if (!file) return undefined;
    try {
      return fs.readFileSync(path.resolve(directory, file));
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      throw new StartError("P1011", `Error opening a TLS connection: ${file} cannot be read (${code}).`);
    }
  };
  const clientKey = query.get("sslkey");
  // LiteLLM drops `sslrootcert` from a URL that has a client's certificate, and keeps what it asks for; libpq's variable still says it.
  const authority = query.get("sslrootcert") ?? (clientKey ? env.PGSSLROOTCERT : query.get("sslcert"));
  const strict = query.get("sslaccept") === "strict" || mode === "verify-full";
  // As libpq has it: `require` with an authority checks the certificate against it.
  const verified = strict || mode === "verify-ca" || (mode === "require" && query.has("sslrootcert"));
  /** @type {Tls} */
  const tls = { host, rejectUnauthorized: verified };
  if (verified) tls.ca = read(authority ?? env.SSL_CERT_FILE);
  if (!strict) tls.checkServerIdentity = () => undefined;
  if (clientKey) Object.assign(tls, { key: read(clientKey), cert: read(query.get("sslcert")) });
  else if (query.get("sslidentity")) tls.pfx = read(query.get("sslidentity"));
  const passphrase = query.get("sslpassword");
  if (passphrase) tls.passphrase = passphrase;
  return { tls, tlsOptional: mode === "prefer" && !verified };
}

module.exports = { readConnection };

// @ts-check

const { once } = require("node:events");
const http = require("node:http");
const { rawAnswer, untagged } = require("./answer");
const { unreachable, userFacing } = require("./failures");
const { BadRequest } = require("./graphql");
const { translator } = require("./request");

/**
 * The native query engine's HTTP interface, as far as prisma-client-py uses it.
 *
 * @typedef {import("./request").Query} Query
 * @typedef {object} Parts
 * @property {any} engine
 * @property {Map<string, import("./schema").Model>} models
 * @property {import("./connection").Connection} connection
 * @property {import("./failures").DriverErrors} driverErrors
 * @property {(level: string, message: string) => void} log
 *
 * @typedef {[status: number, body: unknown]} Reply
 */

/** The engine tells why it refuses a transaction in words only; the native server answers with a status for each. */
const TRANSACTION_STATUS = /** @type {const} */ ([
  [/not found|invalid|no longer exists/i, 404],
  [/already closed|expired|committed|rolled back/i, 422],
  [/Unable to start|acquisition|maxWait/i, 504],
]);

/** The engine traces nothing. */
const NO_TRACE = "{}";

/** After a panic the engine answers nothing any more: the client sees the exit, and starts another one. */
const PANIC_EXIT = 101;

/**
 * @param {Parts} parts
 * @returns {{ server: http.Server, giveUp: () => Promise<void> }} `giveUp` answers every request that has no answer yet as if the
 * database could not be reached
 */
function serve(parts) {
  const handle = handler(parts);
  /** @type {Map<http.ServerResponse, (reply: Reply) => void>} */
  const open = new Map();
  const server = http.createServer((request, response) => {
    /** @param {Reply} reply */
    const send = ([status, body]) => {
      if (!open.delete(response)) return;
      const text = typeof body === "string" ? body : JSON.stringify(body);
      const type = typeof body === "string" ? "text/plain" : "application/json";
      response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) });
      response.end(text);
    };
    open.set(response, send);
    response.on("close", () => open.delete(response));
    handle(request).then(send, (error) => {
      if (error instanceof BadRequest) return send([200, failed("P2009", error.message)]);
      parts.log("ERROR", String(error?.stack ?? error));
      if (!(error instanceof WebAssembly.RuntimeError || error instanceof RangeError))
        return send([200, failed("P2010", String(error?.message ?? error))]);
      send([500, { is_panic: true, message: error.message, backtrace: null }]);
      setImmediate(() => process.exit(PANIC_EXIT));
    });
  });
  // The client keeps connections for reuse. One that the server closes at the same moment would fail a query.
  Object.assign(server, { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 });
  async function giveUp() {
    const { error_code, message } = unreachable(parts.connection);
    const sent = [...open].map(([response, send]) => {
      send([200, failed(error_code, message)]);
      return once(response, "close");
    });
    await Promise.all(sent);
  }
  return { server, giveUp };
}

/**
 * @param {string} code
 * @param {string} message
 */
const failed = (code, message) => ({
  errors: [{ error: message, user_facing_error: { is_panic: false, message, meta: {}, error_code: code } }],
});

/**
 * @param {Parts} parts
 * @returns {(request: http.IncomingMessage) => Promise<Reply>}
 */
function handler({ engine, models, connection, driverErrors, log }) {
  const translate = translator(models);
  // One was the connection. The engine takes no zero.
  let requests = 1;

  /** @param {any} error */
  const facing = (error) => userFacing(error, connection, driverErrors);

  /**
   * @param {Query} query
   * @param {any} result
   */
  function answer({ key, raw }, result) {
    if (result.errors) return { errors: result.errors.map(facing) };
    const [value] = Object.values(result.data);
    return { data: { [key]: raw ? rawAnswer(value) : untagged(value) } };
  }

  /**
   * @param {any} body
   * @param {string | undefined} transaction
   * @param {string} id
   * @returns {Promise<unknown>}
   */
  async function query(body, transaction, id) {
    const ask = async (/** @type {unknown} */ json) =>
      JSON.parse(await engine.query(JSON.stringify(json), NO_TRACE, transaction, id));
    if (!Array.isArray(body.batch)) {
      const one = translate(body.query);
      return answer(one, await ask(one.json));
    }
    const batch = body.batch.map((/** @type {{ query: string }} */ one) => translate(one.query));
    const result = await ask({
      batch: batch.map((/** @type {Query} */ { json }) => json),
      transaction: body.transaction ? { isolationLevel: body.isolationLevel } : undefined,
    });
    if (result.errors) return { errors: result.errors.map(facing) };
    return {
      batchResult: result.batchResult.map((/** @type {any} */ one, /** @type {number} */ index) =>
        answer(batch[index], one),
      ),
    };
  }

  /**
   * @param {string} text
   * @returns {Reply}
   */
  function transactionReply(text) {
    const result = JSON.parse(text) ?? {};
    if (typeof result.message !== "string") return [200, result];
    const told = facing(result);
    if (!result.error_code) log("ERROR", `transaction: ${result.message}`);
    return [TRANSACTION_STATUS.find(([words]) => words.test(told.message))?.[1] ?? 500, told];
  }

  return async (request) => {
    const [path = ""] = (request.url ?? "").split("?");
    // What LiteLLM or the client asks for beside queries.
    if (request.method === "GET") return path === "/status" ? [200, { status: "ok" }] : [404, {}];
    if (request.method !== "POST") return [405, {}];
    const id = String(++requests);
    const text = await textOf(request);
    const [, start, transaction, end] =
      /^\/transaction\/(?:(start)|([^/]+)\/(commit|rollback))$/.exec(path) ?? [];
    if (start) {
      const { max_wait = 2000, timeout = 5000, isolation_level = null } = JSON.parse(text || "{}");
      const options = JSON.stringify({ max_wait, timeout, isolation_level });
      return transactionReply(await engine.startTransaction(options, NO_TRACE, id));
    }
    if (end === "commit") return transactionReply(await engine.commitTransaction(transaction, NO_TRACE, id));
    if (end) return transactionReply(await engine.rollbackTransaction(transaction, NO_TRACE, id));
    if (path !== "/") return [404, {}];
    const within = request.headers["x-transaction-id"];
    return [200, await query(JSON.parse(text), within === undefined ? undefined : String(within), id)];
  };
}

/** @param {http.IncomingMessage} request */
async function textOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

module.exports = { serve };

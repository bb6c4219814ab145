#!/usr/bin/env node
// @ts-check

/**
 * Stands in for Prisma's native query engine: the HTTP server that prisma-client-py starts and asks in GraphQL. The engine
 * itself is Prisma's own, in its WebAssembly build.
 */
const fs = require("node:fs");
const path = require("node:path");
const { setTimeout: sleep } = require("node:timers/promises");
const { bindAdapter } = require("@prisma/driver-adapter-utils");
const { connectAdapter, reachable } = require("./adapter");
const { readConnection } = require("./connection");
const { connectFailure, DriverErrors } = require("./failures");
const { serve } = require("./server");
const { datasourceUrl, readModels, StartError } = require("./schema");
const { loadQueryEngine } = require("./wasm");

/** Seconds between looks for the process that started this one. */
const PARENT_SECONDS = 1;

/**
 * Milliseconds that open queries have when the engine is told to stop. LiteLLM kills it half a second after SIGTERM, which is what
 * it does to the engine of a database that is away; prisma-client-py sends SIGINT and waits.
 */
const STOP_MS = { SIGTERM: 250, SIGINT: 3000 };
/** Until it ends in any case: by then LiteLLM has read the answers. */
const END_MS = 200;

/**
 * @param {string} level
 * @param {string} message
 */
function log(level, message) {
  const line = { timestamp: new Date().toISOString(), level, target: "query_engine", fields: { message } };
  process.stderr.write(`${JSON.stringify(line)}\n`);
}

/** @param {string[]} words */
function portOf(words) {
  const at = words.findIndex((word) => word === "-p" || word === "--port");
  return at < 0 ? 4466 : Number(words[at + 1]);
}

/** @returns {{ text: string, directory: string }} */
function readSchema() {
  const file = process.env.PRISMA_DML_PATH;
  if (file) return { text: fs.readFileSync(file, "utf8"), directory: path.dirname(file) };
  if (process.env.PRISMA_DML)
    return { text: Buffer.from(process.env.PRISMA_DML, "base64").toString(), directory: "." };
  throw new StartError("P1012", "PRISMA_DML_PATH names no schema.");
}

async function start() {
  const { text, directory } = readSchema();
  const wanted = readConnection(datasourceUrl(text, process.env), { directory });
  const connection = await reachable(wanted).catch((error) => {
    if (error instanceof StartError) throw error;
    const { error_code, message } = connectFailure(error, wanted);
    throw new StartError(error_code, message);
  });
  const adapter = await connectAdapter(connection, (error) =>
    log("WARN", `connection lost: ${error.message}`),
  );
  const driverErrors = new DriverErrors();
  const { QueryEngine } = loadQueryEngine();
  const engine = new QueryEngine(
    {
      datamodel: text,
      logLevel: "error",
      logQueries: Boolean(process.env.LOG_QUERIES),
      enableTracing: false,
      engineProtocol: "json",
      datasourceOverrides: {},
      env: {},
      configDir: ".",
      ignoreEnvVarErrors: true,
    },
    (/** @type {string} */ line) => process.stderr.write(`${line.trimEnd()}\n`),
    bindAdapter(adapter, /** @type {any} */ (driverErrors)),
  );
  await engine.connect("{}", "1");
  const models = readModels(text);
  const { server, giveUp } = serve({ engine, models, connection, driverErrors, log });
  server.on("error", (error) => fail("P1001", `The engine cannot listen: ${error.message}`));
  server.listen(portOf(process.argv), "127.0.0.1");

  let stopping = false;
  const stop = async (/** @type {"SIGTERM" | "SIGINT"} */ signal) => {
    if (stopping) process.exit(0);
    stopping = true;
    const answered = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    await Promise.race([answered, sleep(STOP_MS[signal])]);
    setTimeout(() => process.exit(0), END_MS).unref();
    // Who gets no answer does not know whether to ask again: LiteLLM drops the rows of its request log then.
    await giveUp();
    await engine.disconnect("{}", "1").catch(() => {});
    await adapter.dispose().catch(() => {});
    process.exit(0);
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
}

/**
 * @param {string} code
 * @param {string} message
 * @returns {never}
 */
function fail(code, message) {
  log("ERROR", message);
  process.stderr.write(`${JSON.stringify({ is_panic: false, message, meta: {}, error_code: code })}\n`);
  process.exit(1);
}

/** A client that was killed stops nobody: its engine would keep its connections to the database for good. */
function endWithParent() {
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.exit(0), PARENT_SECONDS * 1000).unref();
}

// LiteLLM looks for engines that outlived their gateway under this name.
process.title = "query-engine";
if (process.argv.includes("--version")) {
  console.log(`query-engine ${process.env.PRISMA_EXPECTED_ENGINE_VERSION ?? "wasm"}`);
} else {
  endWithParent();
  start().catch((error) => fail(error instanceof StartError ? error.code : "P1001", String(error.message)));
}

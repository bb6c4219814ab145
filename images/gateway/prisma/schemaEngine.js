#!/usr/bin/env node
// @ts-check

/**
 * Stands in for Prisma's native schema engine, which Prisma's command line starts for `migrate` and `db`: JSON-RPC on
 * stdin and stdout, and `cli` for the question whether the database is there. The engine itself is Prisma's own, in its
 * WebAssembly build.
 */
const fs = require("node:fs");
const readline = require("node:readline");
const { Client } = require("pg");
const { poolOptions, reachable } = require("./adapter");
const { readConnection } = require("./connection");
const { connectFailure } = require("./failures");
const { Migrations } = require("./migrations");
const { datasourceUrl, StartError } = require("./schema");

// It also wipes the command line, in which Prisma's command line hands the connection string over.
const words = process.argv.slice(2);
process.title = "schema-engine";

/** The code that all errors of the native engine have; what happened is in `data`. */
const RPC_FAILURE = 4466;

/** Seconds until a process that has to end has written its last line. */
const LAST_WORDS_SECONDS = 0.05;

const PANIC_EXIT = 101;

/** @param {string} option */
const valuesOf = (option) => words.filter((_, index) => words[index - 1] === option);

const schemaFiles = [...valuesOf("--datamodels"), ...valuesOf("-d")];

/**
 * Asked by Prisma's command line before it migrates. It skips the first line of what is said on stderr.
 *
 * @param {string} url
 * @param {string} command
 */
async function answerCommandLine(url, command) {
  const connection = readConnection(url);
  const quoted = `"${connection.database.replaceAll('"', '""')}"`;
  try {
    if (command === "can-connect-to-database") await reachable(connection);
    else if (command === "create-database") await atServer(connection, `CREATE DATABASE ${quoted}`);
    else if (command === "drop-database") await atServer(connection, `DROP DATABASE ${quoted}`);
    else throw new Error(`unknown command ${command}`);
  } catch (error) {
    const fields = { is_panic: false, ...connectFailure(error, connection) };
    const line = {
      timestamp: new Date().toISOString(),
      level: "ERROR",
      target: "schema_engine::logger",
      fields,
    };
    process.stderr.write(`\n${JSON.stringify(line)}`);
    process.exitCode = 1;
  }
}

/**
 * @param {import("./connection").Connection} connection
 * @param {string} sql
 */
async function atServer(connection, sql) {
  const client = new Client(poolOptions(await reachable({ ...connection, database: "postgres" })));
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

/**
 * The database that a call means: one that it names, or that of the schema.
 *
 * @param {any} params
 */
function urlOf(params) {
  const [given] = valuesOf("--datasource");
  const parts = [params.datasource, params.datasourceType, params.from, params.to].filter(Boolean);
  const named = parts.find(({ url }) => url);
  if (named) return named.url;
  const withSource = parts.find(({ files, tag }) => files && tag !== "schemaDatamodel");
  if (withSource) return datasourceUrl(textOf(withSource), process.env);
  if (given) return JSON.parse(given).url;
  const text = schemaFiles.map((file) => fs.readFileSync(file, "utf8")).join("\n");
  const schemas = [params.from, params.to, params.schema].filter((part) => part?.files).map(textOf);
  return datasourceUrl(text || schemas.join("\n"), process.env);
}

/** @param {{ files: { content: string }[] }} schema */
const textOf = ({ files }) => files.map(({ content }) => content).join("\n");

/** @param {object} message */
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);

function answerCalls() {
  const migrations = new Migrations(schemaFiles);
  /** @type {number | undefined} */
  let current;
  /**
   * @param {number} id
   * @param {unknown} error
   */
  const refuse = (id, error) => {
    const message = "An error happened. Check the data field for details.";
    send({ error: { code: RPC_FAILURE, message, data: migrations.failure(error) }, id });
  };
  // A panic can surface outside of the call. Prisma's command line waits for its answer all the same.
  const crash = (/** @type {unknown} */ error) => {
    if (current !== undefined) refuse(current, error);
    setTimeout(() => process.exit(PANIC_EXIT), LAST_WORDS_SECONDS * 1000);
  };
  process.on("uncaughtException", crash).on("unhandledRejection", crash);

  /** @param {{ id: number, method: string, params?: any }} request */
  async function answer({ id, method, params = {} }) {
    current = id;
    try {
      const result = await migrations.call(method, params, () => urlOf(params));
      if (method === "diff" && typeof result?.stdout === "string")
        send({ id: 0, method: "print", params: { content: result.stdout } });
      send({ result: result ?? null, id });
    } catch (error) {
      refuse(id, error);
    }
    current = undefined;
  }

  let before = Promise.resolve();
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const request = line.trim() ? JSON.parse(line) : {};
    // One without a method is the answer to what was printed.
    if (request.method) before = before.then(() => answer(request));
  });
  lines.on("close", () => before.then(() => migrations.close()).finally(() => process.exit(0)));
}

if (words.includes("--version")) {
  console.log(`schema-engine-cli ${process.env.PRISMA_EXPECTED_ENGINE_VERSION ?? "wasm"}`);
} else if (words[0] === "cli") {
  answerCommandLine(valuesOf("--datasource")[0] ?? "", words.at(-1) ?? "").catch((error) => {
    process.stderr.write(`${error instanceof StartError ? error.message : String(error?.stack)}\n`);
    process.exitCode = 1;
  });
} else {
  answerCalls();
}

// @ts-check

const fs = require("node:fs");
const path = require("node:path");
const { bindMigrationAwareSqlAdapterFactory } = require("@prisma/driver-adapter-utils");
const { connectAdapter, reachable, runWholeScripts } = require("./adapter");
const { readConnection } = require("./connection");
const { connectFailure } = require("./failures");
const { StartError } = require("./schema");
const { loadSchemaEngine } = require("./wasm");

/**
 * Prisma's schema engine behind the calls of the native one.
 *
 * @typedef {{ is_panic: boolean, message: string, meta?: unknown, error_code?: string, backtrace?: null }} Failure
 */

class Migrations {
  /** @param {string[]} schemaFiles */
  constructor(schemaFiles) {
    this.schemaFiles = schemaFiles;
    /** @type {any} */
    this.engine = undefined;
    /** @type {{ dispose: () => Promise<void> }[]} */
    this.adapters = [];
    /** @type {{ consumeError: (number: number) => { error: unknown } | undefined } | undefined} */
    this.driverErrors = undefined;
    this.panic = "";
    /** @type {any} */
    this.scriptError = undefined;
    // Where the engine looks for a way to say why it panics.
    Object.assign(globalThis, {
      PRISMA_WASM_PANIC_REGISTRY: {
        set_message: (/** @type {string} */ message) => {
          this.panic = message;
        },
        get: () => this.panic,
      },
    });
  }

  /**
   * @param {string} method
   * @param {any} params
   * @param {() => string} url
   * @returns {Promise<any>}
   */
  async call(method, params, url) {
    // The engine of this version has it under another name.
    const name = method === "getDatabaseVersion" ? "version" : method;
    this.engine ??= await this.start(url());
    if (typeof this.engine[name] !== "function")
      throw new StartError("P4002", `The schema engine has no ${method}.`);
    return this.engine[name](name === "diff" ? { ...params, ...sides(params) } : params);
  }

  /** @param {string} url */
  async start(url) {
    // A migration's lock belongs to a session: its statements have to run in the same.
    const wanted = { ...readConnection(url), limit: 1, idleSeconds: 0, poolSeconds: 0 };
    const connection = await reachable(wanted).catch((error) => {
      const { error_code, message } = connectFailure(error, wanted);
      throw new StartError(error_code, message);
    });
    const connect = async () => {
      const adapter = await connectAdapter(connection, () => {});
      runWholeScripts(adapter, (error) => {
        this.scriptError = error;
      });
      this.adapters.push(adapter);
      return adapter;
    };
    const noShadow = () =>
      Promise.reject(new StartError("P4002", "This schema engine has no shadow database."));
    const factory = bindMigrationAwareSqlAdapterFactory({
      provider: "postgres",
      adapterName: "@prisma/adapter-pg",
      connect,
      connectToShadowDb: noShadow,
    });
    this.driverErrors = factory.errorRegistry;
    const { SchemaEngine } = await loadSchemaEngine();
    const datamodels = this.schemaFiles.map((file) => [path.resolve(file), fs.readFileSync(file, "utf8")]);
    const log = (/** @type {string} */ line) => process.stderr.write(`${line.trimEnd()}\n`);
    return SchemaEngine.new({ datamodels: datamodels.length > 0 ? datamodels : undefined }, log, factory);
  }

  /**
   * @param {any} error
   * @returns {Failure}
   */
  failure(error) {
    if (this.panic || error instanceof WebAssembly.RuntimeError)
      return { is_panic: true, message: this.panic || String(error.stack), backtrace: null };
    const message = String(error?.message ?? error);
    const [, migration] = /apply_migration[\s\S]*?migration_name="([^"]+)"/.exec(message) ?? [];
    if (migration && this.scriptError && typeof error.code !== "string")
      return { is_panic: false, message: failedMigration(migration, this.scriptError), error_code: "P3018" };
    const code = typeof error?.code === "string" ? error.code : undefined;
    // The driver's error, by its number.
    const [, number] = /^External error id#(\d+)/.exec(message) ?? [];
    const driverError = number && this.driverErrors?.consumeError(Number(number));
    if (driverError)
      return { is_panic: false, message: String(/** @type {any} */ (driverError.error)?.message) };
    return { is_panic: false, message, meta: error?.meta ?? null, error_code: code };
  }

  async close() {
    await Promise.allSettled(this.adapters.map((adapter) => adapter.dispose()));
  }
}

/**
 * The engine knows the database of its adapter only as that of a schema.
 *
 * @param {{ from: any, to: any }} params
 */
function sides({ from, to }) {
  const side = (/** @type {any} */ one) => {
    if (one.tag !== "url") return one;
    const content = `datasource db {\n  provider = "postgresql"\n  url = ${JSON.stringify(one.url)}\n}\n`;
    return { tag: "schemaDatasource", files: [{ path: "schema.prisma", content }], configDir: process.cwd() };
  };
  return { from: side(from), to: side(to) };
}

/**
 * The native engine's words, in which LiteLLM looks for the migration's name and the database's reason.
 *
 * @param {string} migration
 * @param {any} error
 */
function failedMigration(migration, { severity = "ERROR", message, detail, code = "N/A" }) {
  return `A migration failed to apply. New migrations cannot be applied before the error is recovered from. Read more about how to resolve migration issues in a production database: https://pris.ly/d/migrate-resolve

Migration name: ${migration}

Database error code: ${code}

Database error:
${severity}: ${message}${detail ? `\nDETAIL: ${detail}` : ""}
`;
}

module.exports = { Migrations };

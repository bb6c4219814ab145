// @ts-check

const fs = require("node:fs");
const path = require("node:path");

/**
 * @param {string} file
 * @param {string} name under which the module imports its glue
 * @param {any} glue
 */
function instantiate(file, name, glue) {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)), { [name]: glue });
  glue.__wbg_set_wasm(instance.exports);
  /** @type {any} */ (instance.exports).__wbindgen_start();
  return glue;
}

/** Prisma's query engine for Postgres, which its npm package brings along for edge runtimes. */
function loadQueryEngine() {
  const build = path.join(path.dirname(require.resolve("prisma/package.json")), "build");
  const glue = require(path.join(build, "query_engine_bg.postgresql.js"));
  return instantiate(path.join(build, "query_engine_bg.postgresql.wasm"), "./query_engine_bg.js", glue);
}

/** Prisma's schema engine. */
async function loadSchemaEngine() {
  // Its glue is an ES module.
  const glue = await import(/** @type {any} */ ("@prisma/schema-engine-wasm/schema_engine_bg"));
  const folder = path.dirname(require.resolve("@prisma/schema-engine-wasm"));
  return instantiate(path.join(folder, "schema_engine_bg.wasm"), "./schema_engine_bg.js", glue);
}

module.exports = { loadQueryEngine, loadSchemaEngine };

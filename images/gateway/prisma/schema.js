// @ts-check

/**
 * What the engines read of a Prisma schema.
 *
 * @typedef {Map<string, string>} Model the type of each field, without `?` and `[]`
 */

/** The engine cannot start; the code is Prisma's. */
class StartError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * @param {string} schema
 * @returns {Map<string, Model>}
 */
function readModels(schema) {
  const models = schema.matchAll(/^\s*(?:model|view)\s+(\w+)\s*{([\s\S]*?)^\s*}/gm);
  return new Map(
    [...models].map(([, name = "", body = ""]) => {
      const fields = body.matchAll(/^[ \t]*(\w+)[ \t]+(\w+)/gm);
      return [name, new Map([...fields].map(([, field = "", type = ""]) => [field, type]))];
    }),
  );
}

/**
 * The connection string of the schema's datasource.
 *
 * @param {string} schema
 * @param {NodeJS.ProcessEnv} env
 * @returns {string}
 */
function datasourceUrl(schema, env) {
  const [, name, body = ""] = /^\s*datasource\s+(\w+)\s*{([^}]*)}/m.exec(schema) ?? [];
  if (!name) throw new StartError("P1012", "The Prisma schema has no datasource.");
  // The client's own argument `datasource`: it goes before what the schema says.
  const overwrite = env.OVERWRITE_DATASOURCES
    ? JSON.parse(env.OVERWRITE_DATASOURCES).find((/** @type {{ name: string }} */ one) => one.name === name)
    : undefined;
  if (overwrite?.url) return overwrite.url;
  const [, variable, literal] = /^\s*url\s*=\s*(?:env\("([^"]+)"\)|"([^"]+)")/m.exec(body) ?? [];
  const url = variable ? env[variable] : literal;
  if (url) return url;
  if (variable) throw new StartError("P1012", `Environment variable not found: ${variable}.`);
  throw new StartError("P1012", "The datasource of the Prisma schema has no url.");
}

module.exports = { StartError, datasourceUrl, readModels };

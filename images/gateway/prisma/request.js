// @ts-check

const { BadRequest, parseOperation } = require("./graphql");

/**
 * @typedef {import("./graphql").Field} Field
 * @typedef {import("./schema").Model} Model
 * @typedef {Map<string, Model>} Models
 * @typedef {Record<string, unknown>} Values
 * @typedef {object} Query
 * @property {string} key name under which the client expects the answer
 * @property {boolean} raw true for SQL
 * @property {Values} json the query in the JSON protocol, which is the only one that the engine on npm speaks
 */

// No name stands before one that it begins.
const ACTIONS = [
  ...["findUniqueOrThrow", "findUnique", "findFirstOrThrow", "findFirst", "findMany"],
  ...["createOne", "createManyAndReturn", "createMany", "updateOne", "updateManyAndReturn", "updateMany"],
  ...["upsertOne", "deleteOne", "deleteMany", "aggregate", "groupBy"],
];

const JSON_OPERATORS = new Set([
  ...["equals", "not", "in", "notIn", "lt", "lte", "gt", "gte"],
  ...["array_contains", "array_starts_with", "array_ends_with"],
]);

const RELATION_OPERATORS = new Set(["is", "isNot", "some", "every", "none"]);

/**
 * @param {unknown} value
 * @returns {value is Values} false for a tagged scalar
 */
const isObject = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value) && !("$type" in value);

/**
 * @param {Values} values
 * @param {(key: string, value: unknown) => unknown} change
 */
const mapped = (values, change) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(key, value)]));

/**
 * @param {unknown} value
 * @param {(value: unknown) => unknown} change
 */
const each = (value, change) => (Array.isArray(value) ? value.map(change) : change(value));

/** @param {unknown} value */
const tagJson = (value) => (typeof value === "string" ? { $type: "Json", value } : value);

/**
 * Makes a function that turns GraphQL text into a query of the JSON protocol.
 *
 * GraphQL writes a Json value as a string that holds JSON. The JSON protocol takes a plain string for a JSON string, and so
 * would store text where the client meant an object, without a word: such strings are tagged here. Where they stand
 * follows from the schema, so the arguments are walked along it.
 *
 * @param {Models} models
 * @returns {(text: string) => Query}
 */
function translator(models) {
  /**
   * @param {Model} model
   * @param {string} field
   */
  const relation = (model, field) => models.get(model.get(field) ?? "");

  /**
   * @param {unknown} filter
   * @returns {unknown}
   */
  function jsonFilter(filter) {
    if (!isObject(filter)) return tagJson(filter);
    return mapped(filter, (operator, value) => {
      if (!JSON_OPERATORS.has(operator)) return value;
      return operator === "not" && isObject(value) ? jsonFilter(value) : each(value, tagJson);
    });
  }

  /**
   * @param {Model} model
   * @param {unknown} filter
   * @returns {unknown}
   */
  function where(model, filter) {
    if (Array.isArray(filter)) return filter.map((one) => where(model, one));
    if (!isObject(filter)) return filter;
    return mapped(filter, (key, value) => {
      if (model.get(key) === "Json") return jsonFilter(value);
      const other = relation(model, key);
      if (!other) return ["AND", "OR", "NOT"].includes(key) ? where(model, value) : value;
      const operators = isObject(value) && Object.keys(value).every((name) => RELATION_OPERATORS.has(name));
      return operators ? mapped(value, (_, inner) => where(other, inner)) : where(other, value);
    });
  }

  /**
   * @param {Model} model
   * @param {unknown} values
   * @returns {unknown}
   */
  function data(model, values) {
    if (Array.isArray(values)) return values.map((one) => data(model, one));
    if (!isObject(values)) return values;
    return mapped(values, (key, value) => {
      // An object is an operation: `set`, or `push` to a list.
      if (model.get(key) === "Json")
        return isObject(value) ? mapped(value, (_, inner) => each(inner, tagJson)) : each(value, tagJson);
      const other = relation(model, key);
      if (!other || !isObject(value)) return value;
      return mapped(value, (operation, inner) => each(inner, (one) => nestedWrite(other, operation, one)));
    });
  }

  /**
   * @param {Model} model
   * @param {string} operation
   * @param {unknown} value
   * @returns {unknown}
   */
  function nestedWrite(model, operation, value) {
    if (operation === "create") return data(model, value);
    if (["connect", "set", "delete", "disconnect", "deleteMany"].includes(operation))
      return where(model, value);
    // The update of a relation to one row is its data, that of a relation to many has `where` and `data`.
    if (operation === "update" && isObject(value) && !("data" in value)) return data(model, value);
    return isObject(value) ? operationArguments(model, value) : value;
  }

  /**
   * @param {Model} model
   * @param {Values} values
   */
  function operationArguments(model, values) {
    return mapped(values, (key, value) => {
      if (key === "data" || key === "create" || key === "update") return data(model, value);
      return key === "where" || key === "cursor" || key === "having" ? where(model, value) : value;
    });
  }

  /**
   * @param {Model | undefined} model undefined below a field that is no relation, as `_count` of an aggregate
   * @param {Field[]} fields
   * @returns {Values}
   */
  function selection(model, fields) {
    /** @type {Map<string, true | { arguments: Values, selection: Values }>} */
    const selected = new Map();
    for (const { name, arguments: args, selection: inner } of fields) {
      const before = selected.get(name);
      if (!args && !inner) {
        selected.set(name, before ?? true);
        continue;
      }
      const other = model && relation(model, name);
      const earlier = before && before !== true ? before : { arguments: {}, selection: {} };
      selected.set(name, {
        arguments: { ...earlier.arguments, ...(other ? operationArguments(other, args ?? {}) : args) },
        selection: { ...earlier.selection, ...selection(other, inner ?? []) },
      });
    }
    return Object.fromEntries(selected);
  }

  return (text) => {
    const { key, field } = parseOperation(text);
    const { name } = field;
    const args = field.arguments ?? {};
    if (name === "queryRaw" || name === "executeRaw")
      return { key, raw: true, json: { action: name, query: { arguments: args, selection: {} } } };
    for (const action of ACTIONS) {
      // `findUniqueModelOrThrow` in GraphQL is `findUniqueOrThrow` of the model in JSON.
      const [prefix = "", suffix = ""] = action.split(/(?=OrThrow$)/);
      if (!name.startsWith(prefix) || !name.endsWith(suffix)) continue;
      const modelName = name.slice(prefix.length, name.length - suffix.length);
      const model = models.get(modelName);
      if (!model) continue;
      const query = {
        arguments: operationArguments(model, args),
        selection: selection(model, field.selection ?? []),
      };
      return { key, raw: false, json: { modelName, action, query } };
    }
    throw new BadRequest(`The engine knows no query ${name}.`);
  };
}

module.exports = { translator };

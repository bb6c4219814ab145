// @ts-check

/**
 * Answers of the engine, as the GraphQL protocol has them.
 *
 * @typedef {{ columns: string[], types: string[], rows: unknown[][] }} RawRows
 */

/**
 * @param {unknown} value
 * @returns {value is { $type: string, value: unknown }}
 */
const isTagged = (value) =>
  value !== null && typeof value === "object" && "$type" in value && "value" in value;

/**
 * The JSON protocol tags scalars that JSON has no type for, GraphQL writes them as plain strings.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
function untagged(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(untagged);
  if (isTagged(value))
    return value.$type === "DateTime" ? String(value.value).replace(/\+00:00$/, "Z") : value.value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, untagged(inner)]));
}

/**
 * Rows of a raw query: the client of this version expects each value beside its type.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
function rawAnswer(value) {
  const answer = isTagged(value) ? value.value : value;
  if (answer === null || typeof answer !== "object" || !("rows" in answer)) return answer;
  const { columns, types, rows } = /** @type {RawRows} */ (answer);
  return rows.map((row) =>
    Object.fromEntries(row.map((cell, column) => [columns[column], typed(types[column] ?? "string", cell)])),
  );
}

/**
 * @param {string} type
 * @param {unknown} cell
 * @returns {{ prisma__type: string, prisma__value: unknown }}
 */
function typed(type, cell) {
  if (cell === null) return { prisma__type: "null", prisma__value: null };
  const [, item] = /^(.*)-array$/.exec(type) ?? [];
  if (item === undefined || !Array.isArray(cell)) return { prisma__type: type, prisma__value: cell };
  return { prisma__type: "array", prisma__value: cell.map((one) => typed(item, one)) };
}

module.exports = { rawAnswer, untagged };

// @ts-check

/**
 * Reads the GraphQL text that prisma-client-py writes: one operation with one root field. It writes no variable, fragment,
 * directive or block string, so none is read here; whatever else comes is a {@link BadRequest}.
 *
 * @typedef {{ name: string, arguments?: Record<string, unknown>, selection?: Field[] }} Field
 */

/** The request is not one that this engine knows. It never concerns the database. */
class BadRequest extends Error {}

// Punctuation, a name, a string or a number; nothing at the end. The strings are JSON's: the client writes them with Python's json.
const TOKEN =
  /[\s,\uFEFF]*([{}()[\]:]|[_A-Za-z]\w*|"[^"\\\n]*(?:\\.[^"\\\n]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|$)/y;

/** Deeper than any query of the client, and far from the end of the stack. */
const MAX_DEPTH = 200;

class Reader {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.depth = 0;
    /** The token that is read next; empty at the end. */
    this.token = "";
    this.next();
  }

  next() {
    TOKEN.lastIndex = this.at;
    const found = TOKEN.exec(this.text);
    if (!found) throw new BadRequest(`GraphQL: unexpected text at character ${this.at}`);
    this.at = TOKEN.lastIndex;
    this.token = found[1] ?? "";
  }

  /** @param {string} punctuation */
  take(punctuation) {
    if (this.token !== punctuation) this.fail(`"${punctuation}"`);
    this.next();
  }

  name() {
    const { token } = this;
    if (!/^[_A-Za-z]/.test(token)) this.fail("a name");
    this.next();
    return token;
  }

  /**
   * @param {string} wanted
   * @returns {never}
   */
  fail(wanted) {
    const found = this.token === "" ? "the end" : JSON.stringify(this.token.slice(0, 40));
    throw new BadRequest(`GraphQL: ${wanted} is missing before ${found} at character ${this.at}`);
  }

  /**
   * @template Value
   * @param {() => Value} read
   * @returns {Value}
   */
  nested(read) {
    if (++this.depth > MAX_DEPTH) throw new BadRequest("GraphQL: the query is nested too deeply");
    const value = read();
    this.depth--;
    return value;
  }

  /** @returns {unknown} */
  value() {
    const { token } = this;
    if (token === "[") return this.nested(() => this.list());
    if (token === "{") return this.nested(() => this.named("{", "}"));
    if (!/^["\w-]/.test(token)) this.fail("a value");
    this.next();
    if (token.startsWith('"')) return parsedString(token);
    if (/^[-\d]/.test(token)) return parsedNumber(token);
    // Any other name is a value of an enum, which the JSON protocol writes as a string.
    return token === "true" ? true : token === "false" ? false : token === "null" ? null : token;
  }

  list() {
    const values = [];
    this.take("[");
    while (this.token !== "]") values.push(this.value());
    this.take("]");
    return values;
  }

  /**
   * `fromEntries` defines its keys, so that one called `__proto__` is a key like any other.
   *
   * @param {string} open
   * @param {string} close
   * @returns {Record<string, unknown>}
   */
  named(open, close) {
    /** @type {[string, unknown][]} */
    const entries = [];
    this.take(open);
    while (this.token !== close) {
      const name = this.name();
      this.take(":");
      entries.push([name, this.value()]);
    }
    this.take(close);
    return Object.fromEntries(entries);
  }

  /**
   * @param {string} name
   * @returns {Field}
   */
  field(name) {
    /** @type {Field} */
    const field = { name };
    if (this.token === "(") field.arguments = this.named("(", ")");
    if (this.token === "{") field.selection = this.nested(() => this.selection());
    return field;
  }

  selection() {
    const fields = [];
    this.take("{");
    while (this.token !== "}") fields.push(this.field(this.name()));
    this.take("}");
    return fields;
  }
}

/** @param {string} token */
function parsedString(token) {
  try {
    return JSON.parse(token);
  } catch {
    throw new BadRequest("GraphQL: a string has an escape that does not exist");
  }
}

/**
 * Whole numbers that a double cannot hold keep their digits.
 *
 * @param {string} token
 */
function parsedNumber(token) {
  const number = Number(token);
  if (!/^-?\d+$/.test(token) || Number.isSafeInteger(number)) return number;
  return { $type: "BigInt", value: token };
}

/**
 * @param {string} text
 * @returns {{ key: string, field: Field }} the root field, and the name under which its answer is expected
 */
function parseOperation(text) {
  const reader = new Reader(text);
  if (reader.token !== "query" && reader.token !== "mutation") reader.fail("query or mutation");
  reader.next();
  reader.take("{");
  const key = reader.name();
  let name = key;
  if (reader.token === ":") {
    reader.take(":");
    name = reader.name();
  }
  const field = reader.field(name);
  reader.take("}");
  if (reader.token !== "") reader.fail("the end of the query");
  return { key, field };
}

module.exports = { BadRequest, parseOperation };

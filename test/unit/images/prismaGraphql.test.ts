import fc from "fast-check";
import { BadRequest, parseOperation } from "../../../images/gateway/prisma/graphql.js";

/** As prisma-client-py writes it: names bare, strings as JSON, enums as JSON strings, one value a line. */
function written(value: unknown): string {
  if (Array.isArray(value)) return `[\n${value.map(written).join(",\n")}\n]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{\n${Object.entries(value)
    .map(([name, inner]) => `${name}: ${written(inner)}`)
    .join("\n")}\n}`;
}

const name = fc.oneof(
  fc.stringMatching(/^[_A-Za-z][_A-Za-z0-9]{0,12}$/),
  fc.constantFrom("__proto__", "constructor", "true", "null", "query", "_count"),
);

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 20 }),
  fc.constantFrom(
    '"',
    "\\",
    '\\"',
    "a\nb",
    "\r\n\t\b\f",
    "\u2028",
    "\u0000",
    "😀 é",
    '"""',
    "# no comment",
    "{}[]():,",
    "$x",
  ),
);

const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    text,
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(name, tie("value"), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

const values = fc.dictionary(name, value, { maxKeys: 4, noNullPrototype: true });

/** Whole numbers that a double does not hold exactly come as text, so that they keep their digits. */
function asRead(given: unknown): unknown {
  if (typeof given === "number" && Number.isInteger(given) && !Number.isSafeInteger(given))
    return /^-?\d+$/.test(JSON.stringify(given)) ? { $type: "BigInt", value: JSON.stringify(given) } : given;
  if (Array.isArray(given)) return given.map(asRead);
  if (given === null || typeof given !== "object") return given;
  return Object.fromEntries(Object.entries(given).map(([key, inner]) => [key, asRead(inner)]));
}

test("whatever values a client writes are read as they were", () => {
  fc.assert(
    fc.property(values, fc.array(name, { minLength: 1, maxLength: 4 }), (given, fields) => {
      const args = Object.entries(given).map(([key, inner]) => `${key}: ${written(inner)}`);
      const list = args.length > 0 ? `(\n${args.join("\n")}\n)` : "";
      const { key, field } = parseOperation(
        `mutation {\nresult: createOneUser\n${list}\n{\n${fields.join("\n")}\n}\n}`,
      );
      expect([key, field.name]).toEqual(["result", "createOneUser"]);
      expect(field.arguments).toEqual(args.length > 0 ? asRead(given) : undefined);
      expect(field.selection).toEqual(fields.map((one) => ({ name: one })));
    }),
  );
});

test("a text with any part of it missing or doubled is refused or read, and never breaks the engine", () => {
  const whole = written({ where: { OR: [{ id: 'a\\"b' }, { n: -1.5e-7 }], x: null } });
  fc.assert(
    fc.property(fc.nat(whole.length), fc.nat(whole.length), (from, length) => {
      const broken = whole.slice(0, from) + whole.slice(from + length);
      try {
        parseOperation(`query { result: findManyUser(a: ${broken}) { id } }`);
      } catch (error) {
        expect(error).toBeInstanceOf(BadRequest);
      }
    }),
  );
});

test("fields of relations have arguments and fields of their own, without an alias too", () => {
  const { key, field } = parseOperation(
    'query { findManyUser { id posts(take: 1, where: {t: "x"}) { id } _count { _all } } }',
  );
  expect(key).toBe("findManyUser");
  expect(field.selection).toEqual([
    { name: "id" },
    { name: "posts", arguments: { take: 1, where: { t: "x" } }, selection: [{ name: "id" }] },
    { name: "_count", selection: [{ name: "_all" }] },
  ]);
});

test("enums are strings, and numbers keep their digits", () => {
  const { field } = parseOperation(
    "query { a(s: ACTIVE, t: true, big: 9007199254740993, low: -0.5, e: 1e-07) }",
  );
  expect(field.arguments).toEqual({
    s: "ACTIVE",
    t: true,
    big: { $type: "BigInt", value: "9007199254740993" },
    low: -0.5,
    e: 1e-7,
  });
});

test.each([
  ["", "query or mutation is missing before the end"],
  ["subscription { a }", "query or mutation is missing"],
  ["query Named { a }", '"{" is missing before "Named"'],
  ["query { a b }", '"}" is missing before "b"'],
  ["query { a } query { b }", "the end of the query is missing"],
  ["query { a(id: $id) }", "unexpected text at character 13"],
  ["query { ...everything }", "unexpected text"],
  ["query { a(id: ) }", 'a value is missing before ")"'],
  ['query { a(id: "open) }', "unexpected text"],
  ['query { a(id: "\\x") }', "an escape that does not exist"],
  ["query { a(id: {b 1}) }", '":" is missing before "1"'],
])("%j is refused: %s", (query, problem) => {
  expect(() => parseOperation(query)).toThrow(problem);
  expect(() => parseOperation(query)).toThrow(BadRequest);
});

test("a query that is nested without end is refused before the stack ends", () => {
  expect(() => parseOperation(`query { a(id: ${"[".repeat(50_000)}`)).toThrow("nested too deeply");
});

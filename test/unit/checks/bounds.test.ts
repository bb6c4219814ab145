import fc from "fast-check";
import { z } from "zod";
import { zodProblems } from "../../../configs/checks/zodProblems";
import { engines } from "../../../configs/engines";
import { sections } from "../../../configs/stack/config";

type Numeric = z.ZodNumber;

/** Every numeric schema below one, with its path. */
function numbersIn(schema: unknown, path: string, seen: Set<unknown>): [string, Numeric][] {
  if (!(schema instanceof z.ZodType) || seen.has(schema)) return [];
  seen.add(schema);
  if (schema instanceof z.ZodNumber) return [[path, schema]];
  const below = (key: string, value: unknown) => numbersIn(value, key ? `${path}.${key}` : path, seen);
  return Object.entries(schema._zod.def).flatMap(([key, value]) => {
    if (key === "shape") return Object.entries(value as object).flatMap(([name, one]) => below(name, one));
    if (Array.isArray(value)) return value.flatMap((one) => below("", one));
    return below("", value);
  });
}

const numbers = [
  ...Object.entries(sections).flatMap(([name, schema]) => numbersIn(schema, name, new Set())),
  ...Object.entries(engines).flatMap(([name, { schema }]) => numbersIn(schema, name, new Set())),
];

/** What zod says against a value, as its author reads it. */
function fixes(schema: z.ZodType, value: unknown): string[] {
  const { error } = schema.safeParse(value);
  return error ? zodProblems(error.issues, "x", value, () => []).map(({ fix }) => fix) : [];
}

test("the numbers of every section and engine are looked at", () => {
  const paths = numbers.map(([path]) => path);
  expect(paths).toEqual(expect.arrayContaining(["llamacpp.ctxSize", "gateway.port", "vllm.gpu.memoryGiB"]));
  expect(numbers.length).toBeGreaterThan(100);
});

test.each(numbers)("%s: the bound that a refusal names passes", (_, schema) => {
  const { minValue, maxValue } = schema;
  const near = [minValue, maxValue].flatMap((bound) =>
    bound === null || !Number.isFinite(bound) ? [] : [bound - 1, bound - 0.5, bound, bound + 0.5, bound + 1],
  );
  const values = fc.oneof(
    fc.constantFrom(0, -1, 1.5, 1e20, ...near),
    fc.integer({ min: -1e6 }),
    fc.double({ noNaN: true, min: -1e6, max: 1e12 }),
  );
  fc.assert(
    fc.property(values, (value) => {
      for (const fix of fixes(schema, value)) {
        const [, how, bound] =
          fix.match(/^Write (at least|at most|more than|less than) (-?[\d.e+]+)\.$/) ?? [];
        if (bound === undefined) expect(fix).toBe("Write a whole number.");
        else {
          const step = { "more than": 1e-6, "less than": -1e-6 }[how!] ?? 0;
          expect(fixes(schema, Number(bound) + step)).toEqual([]);
        }
      }
    }),
    { numRuns: 30 },
  );
});

test.each<[string, z.ZodType, unknown, string]>([
  ["a whole number that has to be positive", z.int().min(1), 0, "Write at least 1."],
  ["a fraction", z.int(), 1.5, "Write a whole number."],
  ["an exclusive bound of fractions", z.number().positive(), 0, "Write more than 0."],
  ["a multiple", z.int().multipleOf(256), 3, "Write a multiple of 256."],
  ["an empty list", z.array(z.string()).min(1), [], "Write at least 1 entry."],
  ["a list that is too short", z.array(z.string()).min(2), [], "Write at least 2 entries."],
  ["a text that is too short", z.string().min(8), "a", "Write at least 8 characters."],
])("%s is told so", (_, schema, value, fix) => {
  expect(fixes(schema, value)).toEqual([fix]);
});

import fc from "fast-check";
import { leaksIn } from "../../support/leaks";

const secret = fc.string({ minLength: 12, maxLength: 60, unit: "grapheme-ascii" });
const forms: [name: string, write: (value: string, before: string) => string][] = [
  ["as it is", (value) => value],
  ["in JSON", (value) => JSON.stringify({ value })],
  ["in a URL", (value) => `?x=${encodeURIComponent(value)}`],
  ["in hex", (value) => Buffer.from(value).toString("hex")],
  ["in upper-case hex", (value) => Buffer.from(value).toString("hex").toUpperCase()],
  ["backwards", (value) => [...value].reverse().join("")],
  [
    "in base64 behind other bytes",
    (value, before) => Buffer.from(`${before}${value}after`).toString("base64"),
  ],
  ["in base64 for URLs", (value, before) => Buffer.from(`${before}${value}after`).toString("base64url")],
];

test.each(forms)("a secret is found %s", (_, write) => {
  fc.assert(
    fc.property(secret, fc.string({ maxLength: 5, unit: "grapheme-ascii" }), (value, before) => {
      expect(leaksIn("place", `text ${write(value, before)} text`, { value })).toEqual([
        { place: "place", secret: "value" },
      ]);
    }),
  );
});

test.each(forms)("another value is not taken for it %s", (_, write) => {
  expect(leaksIn("place", write("0123456789abcdefghik", "x"), { value: "0123456789abcdefghij" })).toEqual([]);
});

import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readWants } from "../../../tools/test/report";
import { scratch } from "../../support/allocate";
import { missing, needs, SKIPS_FILE, testNeeds } from "../../support/needs";

const folder = scratch("needs");
const before = process.env[SKIPS_FILE];

beforeAll(() => {
  jest.spyOn(console, "warn").mockImplementation(() => {});
  process.env[SKIPS_FILE] = join(folder, "skips");
});
afterAll(() => {
  // Undefined would become a text.
  if (before === undefined) delete process.env[SKIPS_FILE];
  else process.env[SKIPS_FILE] = before;
  rmSync(folder, { recursive: true });
});

test("a suite that lacks a program skips, and writes for the runner which one its file wants", () => {
  expect(needs("node")).toBe(describe);
  expect(needs("node", "no-such-program", "nor-this-one")).toBe(describe.skip);
  expect(testNeeds("no-such-program")).toBe(test.skip);
  expect(missing("node", "no-such-program")).toEqual(["no-such-program"]);
  expect(readWants(readFileSync(join(folder, "skips"), "utf8"))).toEqual([
    { file: __filename, why: "no-such-program, nor-this-one" },
    { file: __filename, why: "no-such-program" },
  ]);
});

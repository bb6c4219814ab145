import { readFileSync } from "node:fs";
import fc from "fast-check";
import { inWords } from "../../../cli/inWords";
import { ConfigError } from "../../../configs/kit/problems";
import { UserError } from "../../../platform/process";

/** What `action` throws. */
function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

const unfinished = thrown(() => JSON.parse('[{"Id": "a'));

test.each<[string, unknown, string]>([
  ["a mistake of the user", new UserError("It is wrong.", "Do that."), "It is wrong."],
  [
    "a mistake of a config",
    new ConfigError("x", [{ path: "p", what: "w", fix: "f" }]),
    "Pulumi.x.yaml has 1 mistake:",
  ],
  [
    "a file that is not there",
    thrown(() => readFileSync("/none/x")),
    "ENOENT: no such file or directory, open '/none/x'.",
  ],
  ["a folder for a file", thrown(() => readFileSync("/")), "EISDIR: illegal operation on a directory, read."],
])("%s is said in words, without a place in the code", (_, error, what) => {
  const told = inWords(error);
  expect(told.defect).toBeUndefined();
  expect(told.what).toMatch(what);
  expect(told.fix).toMatch(/^[A-Z].*\.$/);
});

test("an answer that breaks off is a defect, but nobody's mistake after Ctrl-C", () => {
  expect(inWords(unfinished).defect).toBe(true);
  fc.assert(
    fc.property(fc.oneof(fc.constant(unfinished), fc.anything()), (error) => {
      expect(inWords(error, true)).toEqual({ what: "Stopped by Ctrl-C.", fix: "Run it again to continue." });
    }),
  );
});

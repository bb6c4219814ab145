import fc from "fast-check";
import { COMMANDS } from "../../../cli/commands";
import { candidates } from "../../../cli/complete";
import { completionScript, SHELLS } from "../../../cli/completionScripts";
import { buildProgram } from "../../../cli/program";

type Program = Awaited<ReturnType<typeof buildProgram>>;
let program: Program;
beforeAll(async () => {
  program = await buildProgram("1.2.3", undefined);
});

const names = (kind: string, stack: string) => (/^(model|job)$/.test(kind) ? [`${stack}-${kind}`] : []);
const words = (...typed: string[]) => candidates(program, typed, names).map(({ word }) => word);

test("the first word is any command, with its summary from the help", () => {
  expect(candidates(program, [""], names)).toEqual(
    COMMANDS.map(({ name, summary }) => ({ word: name, summary })),
  );
});

test("an option's value is completed in both notations", () => {
  expect(words("up", "--engine", "")).toEqual(["pulumi", "compose"]);
  expect(words("up", "--engine", "=", "co")).toEqual(["compose"]);
  expect(words("up", "--engine", "=")).toEqual(["pulumi", "compose"]);
  expect(words("restore", "--from", "")).toEqual([]);
});

test("models are offered from the named stack, whether its name comes before or after", () => {
  expect(words("model", "start", "")).toEqual(["dev-model"]);
  expect(words("model", "start", "-s", "lab", "")).toEqual(["lab-model"]);
  expect(words("model", "start", "--stack=lab", "")).toEqual(["lab-model"]);
  expect(words("model", "start", "one", "")).toEqual([]);
  expect(words("-C", "/elsewhere", "job", "start", "")).toEqual(["dev-job"]);
});

test("whatever is typed, what is offered begins with it", () => {
  const known = ["up", "job", "start", "--stack", "-s", "--json", "=", "--", "", "model", "--engine", "x"];
  const word = fc.oneof(fc.constantFrom(...known), fc.string());
  fc.assert(
    fc.property(fc.array(word), (typed) => {
      const last = typed.at(-1) ?? "";
      for (const one of words(...typed)) expect(one.startsWith(last === "=" ? "" : last)).toBe(true);
    }),
  );
});

test("a program in a folder with a quote in its name is still one word of the script", () => {
  for (const shell of SHELLS) {
    const script = completionScript(shell, ["/opt/it's/node"]);
    expect(script).toContain(shell === "fish" ? "'/opt/it\\'s/node'" : "'/opt/it'\\''s/node'");
  }
});

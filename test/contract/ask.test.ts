import { packageDir } from "../../platform/project";
import { atTerminal } from "../support/terminal";

const down = [process.execPath, "bin/gpubox.cjs", "down", "--volume", "database", "--stack", "nowhere"];
const answered = (answer: string) =>
  atTerminal(down, [["Type the stack's name:", answer]], { cwd: packageDir, env: {} });

test.each([
  ["Ctrl-C", "\u0003", 130, "The question was cancelled"],
  ["another word", "dev", 1, '"nowhere" was not typed.'],
])("after %s nothing is done", async (_, answer, code, why) => {
  const result = await answered(answer);
  expect(result.stdout).toContain("This deletes the database of the stack nowhere for good");
  expect(result.stdout).toContain("Nothing was done.");
  expect(result.stdout).toContain(why);
  expect(result.code).toBe(code);
});

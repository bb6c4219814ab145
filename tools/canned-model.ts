/** `tsx scripts/canned-model.ts [ANSWER] > model.gguf`: writes the test model to standard output. */
import { cannedModel } from "../runner/cannedModel";
import { UserError } from "../runner/process";

try {
  if (process.stdout.isTTY) {
    throw new UserError(
      "The model is binary and would garble the terminal.",
      "Send it to a file: … > model.gguf",
    );
  }
  process.stdout.write(cannedModel({ answer: process.argv[2] }));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

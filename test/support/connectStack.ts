// Connects the host of a stack as a verb does, and says as JSON how it failed. Words: the project's folder and the stack.
import { UserError } from "../../platform/process";
import { connectStack } from "../../platform/stack/host";

const [dir = "", stack = ""] = process.argv.slice(2);
try {
  connectStack(dir, stack);
  console.log("{}");
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.log(JSON.stringify({ failed: { what: error.what, fix: error.fix } }));
}

// Connects the host of a stack as a verb does, and says as JSON how it failed. Words: the project's folder and the stack;
// with a third one it then waits for the end of its input, and says what the engine answers through the connection.
import { dockerAt } from "../../platform/docker/client";
import { UserError } from "../../platform/process";
import { connectStack } from "../../platform/stack/host";

const [dir = "", stack = "", stay] = process.argv.slice(2);
try {
  connectStack(dir, stack);
  console.log("{}");
  if (stay) {
    process.stdin.resume().on("end", () => {
      const { code } = dockerAt(`unix://.gpubox/ssh/${stack}/docker.sock`).runSync(["version"], 30_000);
      console.log(`docker ended with ${code}`);
    });
  }
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.log(JSON.stringify({ failed: { what: error.what, fix: error.fix } }));
}

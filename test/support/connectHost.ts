// Connects a host as a verb does, and says as JSON how it failed. Words: the project's folder, the stack and its host.
import { hostSchema } from "../../configs/schema/host";
import { UserError } from "../../runner/process";
import { connectHost } from "../../runner/ssh/connection";

const [dir = "", given = ""] = process.argv.slice(2);
const { stack, host } = JSON.parse(given) as { stack: string; host: unknown };
try {
  connectHost(dir, { stack, host: hostSchema.parse(host) });
  console.log("{}");
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.log(JSON.stringify({ failed: { what: error.what, fix: error.fix } }));
}

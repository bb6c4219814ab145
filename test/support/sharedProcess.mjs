// Set up for the processes that run one test file after another. They import test files as Node does, and Node 20 knows no
// TypeScript.
import { createRequire } from "node:module";
import "tsx";
// Pulumi's SDK loads an npm client and a compiler, which only serialised functions need.
import "../../bin/lazySdk.cjs";

createRequire(import.meta.url)("./limits.ts").limitAll();

// The runner lets go of a process when it has all results. What a test left open, such as a kept connection, ends with it.
process.once("disconnect", () => process.exit());

import { packageVersion } from "../platform/versions";
import { buildProgram } from "./program";
import { runProgram } from "./run";

const words = process.argv.slice(2);

void runProgram(() => buildProgram(packageVersion(), words), words);

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { packageDir } from "../runner/project";
import { buildProgram } from "./program";
import { runProgram } from "./run";

const manifest = z.object({ version: z.string() });
const { version } = manifest.parse(JSON.parse(readFileSync(join(packageDir, "package.json"), "utf8")));
const words = process.argv.slice(2);

void runProgram(() => buildProgram(version, words), words);

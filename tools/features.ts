import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { runProgram, strict } from "../cli/run";
import { UserError } from "../platform/process";
import { packageDir } from "../platform/project";
import { featuresMarkdown } from "./featureTable/features";

const program = new Command("features")
  .description("Write the feature matrix of the engines, docs/features.md.")
  .option("--check", "write nothing; exit code 1 when the committed one is stale")
  .action((values) => {
    const path = join(packageDir, "docs/features.md");
    const text = featuresMarkdown();
    if (!values.check) writeFileSync(path, text);
    else if (readFileSync(path, "utf8") !== text)
      throw new UserError(
        "docs/features.md is not what the engines say.",
        "Run `npm run features` and commit it.",
      );
  });

void runProgram(() => strict(program as never), process.argv.slice(2));

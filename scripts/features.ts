import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { featuresMarkdown } from "../configs/features";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { verb } from "./verb";

/** `npm run features`: writes the feature matrix of the engines; `-- --check` fails when the committed one is stale. */
verb(async () => {
  const path = join(defaultProjectDir, "docs/features.md");
  const text = featuresMarkdown();
  if (!process.argv.includes("--check")) return writeFileSync(path, text);
  if (readFileSync(path, "utf8") !== text)
    throw new UserError(
      "docs/features.md is not what the engines say.",
      "Run `npm run features` and commit it.",
    );
});

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { featuresMarkdown } from "../configs/features";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { verb } from "./verb";

const about = {
  name: "features",
  does: "Writes the feature matrix of the engines, docs/features.md.",
  options: {
    check: {
      type: "boolean",
      default: false,
      help: "write nothing; exit code 1 when the committed one is stale",
    },
  },
} as const;

verb(about, async ({ values }) => {
  const path = join(defaultProjectDir, "docs/features.md");
  const text = featuresMarkdown();
  if (!values.check) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text)
    throw new UserError(
      "docs/features.md is not what the engines say.",
      "Run `npm run features` and commit it.",
    );
  return { path };
});

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stackJsonSchema } from "../configs/schema/stack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { verb } from "./verb";

/** `npm run schema`: writes the JSON Schema of stack configs; `-- --check` fails when the committed one is stale. */
verb(async () => {
  const path = join(defaultProjectDir, "stack.schema.json");
  const text = `${JSON.stringify(stackJsonSchema(), null, 2)}\n`;
  if (!process.argv.includes("--check")) return writeFileSync(path, text);
  if (readFileSync(path, "utf8") !== text)
    throw new UserError(
      "stack.schema.json is not what the schemas say.",
      "Run `npm run schema` and commit it.",
    );
});

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stackJsonSchema } from "../configs/schema/stack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { verb } from "./verb";

const about = {
  name: "schema",
  does: "Writes the JSON Schema of stack configs, stack.schema.json.",
  options: {
    check: {
      type: "boolean",
      default: false,
      help: "write nothing; exit code 1 when the committed one is stale",
    },
  },
} as const;

verb(about, async ({ values }) => {
  const path = join(defaultProjectDir, "stack.schema.json");
  const text = `${JSON.stringify(stackJsonSchema(), null, 2)}\n`;
  if (!values.check) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text)
    throw new UserError(
      "stack.schema.json is not what the schemas say.",
      "Run `npm run schema` and commit it.",
    );
  return { path };
});

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stackJsonSchema } from "../configs/schema/stack";
import { trajectoryJsonSchema } from "../configs/trajectory/line";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { verb } from "./verb";

const schemas = {
  "stack.schema.json": stackJsonSchema,
  "docs/trajectory.schema.json": trajectoryJsonSchema,
};

const about = {
  name: "schema",
  does: "Writes the JSON Schemas of stack configs and of trajectory logs.",
  options: {
    check: {
      type: "boolean",
      default: false,
      help: "write nothing; exit code 1 when a committed one is stale",
    },
  },
} as const;

verb(about, async ({ values }) => {
  for (const [name, schema] of Object.entries(schemas)) {
    const path = join(defaultProjectDir, name);
    const text = `${JSON.stringify(schema(), null, 2)}\n`;
    if (!values.check) writeFileSync(path, text);
    else if (readFileSync(path, "utf8") !== text)
      throw new UserError(`${name} is not what the schemas say.`, "Run `npm run schema` and commit it.");
  }
  return { paths: Object.keys(schemas) };
});

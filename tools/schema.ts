import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { runProgram, strict } from "../cli/run";
import { stackJsonSchema } from "../configs/stack/config";
import { trajectoryJsonSchema } from "../operations/trajectory/line";
import { UserError } from "../platform/process";
import { packageDir } from "../platform/project";

const schemas = {
  "stack.schema.json": stackJsonSchema,
  "docs/trajectory.schema.json": trajectoryJsonSchema,
};

const program = new Command("schema")
  .description("Write the JSON Schemas of stack configs and of trajectory logs.")
  .option("--check", "write nothing; exit code 1 when a committed one is stale")
  .action((values) => {
    for (const [name, schema] of Object.entries(schemas)) {
      const path = join(packageDir, name);
      const text = `${JSON.stringify(schema(), null, 2)}\n`;
      if (!values.check) writeFileSync(path, text);
      else if (readFileSync(path, "utf8") !== text)
        throw new UserError(`${name} is not what the schemas say.`, "Run `npm run schema` and commit it.");
    }
  });

void runProgram(() => strict(program as never), process.argv.slice(2));

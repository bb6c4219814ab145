import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { parse } from "yaml";
import { runProgram, strict } from "../cli/run";
import { packageDir } from "../platform/project";
import { condensed, type Source } from "./recipeIndex/condense";

const program = new Command("recipes")
  .description("Write configs/recipes/recipes.json from a checkout of github.com/vllm-project/recipes.")
  .argument("<checkout>", "its folder")
  .action((checkout) => {
    const git = (format: string) =>
      execFileSync("git", ["-C", checkout, "log", "-1", `--format=${format}`], { encoding: "utf8" }).trim();
    const source: Source = { commit: git("%H"), date: git("%cs") };
    const models = join(checkout, "models");
    const files = readdirSync(models, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".yaml"))
      .sort();
    const read = (path: string): unknown => parse(readFileSync(path, "utf8"));
    const index = condensed(
      source,
      read(join(checkout, "taxonomy.yaml")),
      files.map((file) => ({ id: file.replace(/\.yaml$/, ""), recipe: read(join(models, file)) })),
    );
    writeFileSync(join(packageDir, "configs/recipes/recipes.json"), `${JSON.stringify(index, null, 1)}\n`);
    console.log(`${index.recipes.length} of ${files.length} recipes, from ${source.commit.slice(0, 12)}.`);
  });

void runProgram(() => strict(program as never), process.argv.slice(2));

import { Option } from "@commander-js/extra-typings";
import { KINDS } from "../operations/import/collect";
import { compareGateways, comparisonTable } from "../operations/import/compare";
import { type Imported, importStack } from "../operations/import/importStack";
import { routeTable } from "../operations/import/routes";
import { keptOf, type Target, targetOf, writeStackFile } from "../operations/import/write";
import { UserError } from "../platform/process";
import { findProject } from "../platform/project";
import { bringSecrets } from "../platform/stack/secrets";
import { agrees, secretText } from "./ask";
import { command, examples, printing } from "./command";
import { say } from "./output";

export const definition = command("import")
  .description(
    "Write a stack file of what already runs: a LiteLLM config, a compose file, a Docker host, llama-swap's config, Ollama's models, a hub's cache. The old setup is not touched (docs/import.md).",
  )
  .argument("[source...]", "a file, a folder, the address of a Docker engine or of an Ollama server")
  .option("-s, --stack <name>", "the new stack; default: the one that --out names, else dev")
  .option("--out <file>", "where the stack file goes; default: Pulumi.<stack>.yaml of the project")
  .addOption(new Option("--from <kind>", "what the source is; default: what it looks like").choices(KINDS))
  .option("--force", "replace the sections and models of a stack file that is there", false)
  .option("-y, --yes", "move keys in plain text into the stack's secrets without asking", false)
  .option("--check", "ask an old and a new gateway the same, and compare their answers", false)
  .option("--old <url>", "with --check: the old gateway; its key is OLD_GATEWAY_KEY, or asked for")
  .option("--new <url>", "with --check: the new gateway; its key is NEW_GATEWAY_KEY, or asked for")
  .addHelpText(
    "after",
    examples(
      "import litellm/config.yaml --stack box",
      "import docker-compose.yml --out Pulumi.box.yaml",
      "import docker",
      "import ~/.ollama/models",
      "import --check --old http://127.0.0.1:4000 --new http://127.0.0.1:4100",
    ),
  )
  .action(
    printing(async (sources, options) => {
      if (options.check) return check(options.old, options.new);
      if (sources.length === 0)
        throw new UserError(
          "Nothing to import is named.",
          "Name a file, a folder or an address; see --help.",
        );
      const target = targetOf(options.out, options.stack, findProject);
      const kept = keptOf(target, options.force);
      const imported = await importStack(sources, { stack: target.stack, from: options.from, kept });
      for (const line of routeTable(imported.routes)) say(line);
      const moved = await moveSecrets(imported, target, options.yes);
      writeStackFile(target, imported.text);
      tell(imported, target, moved);
      const { routes, untold, steps, missing } = imported;
      return { stack: target.stack, path: target.path, routes, untold, steps, moved, missing };
    }),
  );

/** Asks before values leave the source's plain text. @returns the names of those that moved */
async function moveSecrets({ secrets }: Imported, target: Target, yes: boolean): Promise<string[]> {
  const names = Object.keys(secrets);
  if (names.length === 0) return [];
  if (!yes && !process.stdin.isTTY)
    throw new UserError(
      `The sources have values of ${names.join(", ")}, and nobody is here to agree that they become secrets of the stack.`,
      "Add --yes if you mean it. Nothing was written.",
    );
  const question = `Move the values of ${names.join(", ")} into the secrets of the stack ${target.stack}?`;
  if (!yes && !(await agrees(question, true))) return [];
  bringSecrets(target.projectDir, target.stack, secrets);
  return names;
}

function tell({ untold, steps, missing, secrets }: Imported, { path, stack }: Target, moved: string[]): void {
  const lost = untold.length === 1 ? "1 thing" : `${untold.length} things`;
  say();
  say(
    `${path} is written and has no mistakes. ${untold.length === 0 ? "Everything came over." : `${lost} did not come over; comments in it say why.`}`,
  );
  if (moved.length > 0) say(`Secrets that moved: ${moved.join(", ")}.`);
  const open = [...Object.keys(missing), ...Object.keys(secrets).filter((name) => !moved.includes(name))];
  if (open.length > 0) say("Secrets that you have to set:");
  for (const name of open)
    say(
      `  pulumi config set --secret gpubox:${name} --stack ${stack}${missing[name] ? `   # ${missing[name]}` : ""}`,
    );
  say("The old setup runs on. From here:");
  for (const step of steps) say(step);
}

async function check(old: string | undefined, fresh: string | undefined) {
  if (!old || !fresh)
    throw new UserError("--check compares two gateways.", "Add --old URL and --new URL, both without /v1.");
  const compared = await compareGateways({
    old: { url: old, key: await keyOf("OLD_GATEWAY_KEY", "Key of the old gateway:") },
    new: { url: fresh, key: await keyOf("NEW_GATEWAY_KEY", "Key of the new gateway:") },
  });
  for (const line of comparisonTable(compared)) say(line);
  const differing = compared.filter(({ same }) => !same).length;
  say(
    differing === 0
      ? "Both answer alike."
      : `${differing} of ${compared.length} requests are answered otherwise.`,
  );
  if (differing > 0) process.exitCode = 1;
  return compared;
}

/** Never an argument: every process of the machine could read it. */
async function keyOf(variable: string, question: string): Promise<string> {
  const value = process.env[variable];
  if (value !== undefined) return value;
  if (process.stdin.isTTY) return secretText(question);
  throw new UserError(`${variable} is not set, and nobody is here to type it.`, `Set it in the environment.`);
}

import { Command } from "commander";
import { UserError } from "../platform/process";
import { chooseProject, findProject } from "../platform/project";
import { connectStack } from "../platform/stack/host";
import { needsHost } from "./command";
import { COMMANDS, type Entry } from "./commands";
import { isOnCluster, refuseOnCluster } from "./onCluster";
import { useJson } from "./output";
import { strict } from "./run";

const EPILOGUE = `
Examples:
  $ gpubox init my-box          write a project of your own
  $ gpubox up                   bring the stack "dev" up on this machine, and prove it
  $ gpubox preview --stack box  say what "up" would change
  $ gpubox doctor               say what is wrong with a box, and what to do

Exit codes: 0 done, 1 failed (the last lines say why and what to do), 2 the command line is not understood,
130 stopped by Ctrl-C. "doctor" ends with 1 when something is wrong, "drift" and "trajectory check" with 2 when something differs.`;

/**
 * The program with its tree of commands. Loads only the command in `words`, because a command's imports cost more time
 * than the rest of a start.
 *
 * @param words the command line after the program's name; undefined loads every command
 */
export async function buildProgram(version: string, words: readonly string[] | undefined): Promise<Command> {
  const program = new Command("gpubox")
    .description("One GPU box as code: a model server on a plain host, from one stack config.")
    .version(version)
    .option(
      "-C, --project <dir>",
      "the project's folder; default: the nearest folder upwards with a Pulumi.yaml",
    )
    .addHelpText("after", EPILOGUE)
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: false, sortSubcommands: false })
    .hook("preAction", (_, action) => prepare(program, action));
  const named = words?.filter((word) => !word.startsWith("-"));
  for (const entry of COMMANDS) {
    const wanted = named === undefined || named.includes(entry.name);
    program.addCommand(
      wanted ? await loaded(entry) : new Command(entry.name).summary(entry.summary).helpGroup(entry.group),
    );
  }
  return strict(program);
}

async function loaded({ load, summary, group }: Entry): Promise<Command> {
  const { definition } = await load();
  return (definition as unknown as Command).summary(summary).helpGroup(group);
}

/** Checks before any action. */
function prepare(program: Command, action: Command): void {
  const { project } = program.opts<{ project?: string }>();
  if (project !== undefined) chooseProject(project);
  const { json, stack } = action.opts<{ json?: true; stack?: string }>();
  if (json) useJson();
  checkStackName(stack);
  if (stack !== undefined) refuseOnCluster(action, stack);
  if (needsHost(action) && stack !== undefined && !isOnCluster(stack)) connectStack(findProject(), stack);
}

/** A stack's name becomes part of paths and container names, and previews show it. */
function checkStackName(stack: string | undefined): void {
  if (stack === undefined || /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(stack)) return;
  throw new UserError(
    `"${stack}" cannot be a stack's name.`,
    "Write the <stack> of Pulumi.<stack>.yaml: letters, digits and . _ -.",
  );
}

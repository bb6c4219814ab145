import { Command, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { jsonWanted } from "./output";

/** Commands that talk to the stack's host. */
const onHost = new WeakSet<object>();

/** A command with the options that every command has. */
export function command(name: string) {
  return new Command(name).option(
    "--json",
    "print one JSON document on standard output, and everything else on standard error",
  );
}

/**
 * A command that only groups others. It has no options, because commander would take theirs for its own.
 *
 * @param does one sentence about its commands
 */
export function group(name: string, does: string, ...commands: CommandUnknownOpts[]) {
  const made = new Command(name).description(does);
  for (const one of commands) made.addCommand(one);
  return made;
}

/** A command that works on one stack of the project. */
export function stackCommand(name: string) {
  return command(name).option("-s, --stack <name>", "the stack, Pulumi.<name>.yaml", "dev");
}

/** A command for one stack that contacts its host. A host behind SSH is connected before the action runs. */
export function hostCommand(name: string) {
  const made = stackCommand(name);
  onHost.add(made);
  return made;
}

/** True for a command made by {@link hostCommand}. */
export function needsHost(one: object): boolean {
  return onHost.has(one);
}

/** Makes an action whose result `--json` prints. An action that prints a line as each thing happens returns nothing. */
export function printing<Given extends unknown[]>(
  action: (...given: Given) => Promise<unknown>,
): (...given: Given) => Promise<void> {
  return async (...given) => {
    const result = await action(...given);
    if (jsonWanted() && result !== undefined) console.log(JSON.stringify(result, null, 2));
  };
}

/** Text for the end of a command's help. Each line is a command without the program's name. */
export function examples(...lines: string[]): string {
  return ["", "Examples:", ...lines.map((line) => `  $ gpubox ${line}`)].join("\n");
}

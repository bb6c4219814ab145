import { Command } from "commander";
import { COMMANDS } from "../../cli/commands";
import { runProgram, strict } from "../../cli/run";
import { smoke } from "../../operations/smoke/smoke";

/** Starts every command of the tree at once, each with an action that waits for what never comes. Prints their number. */
async function everyVerb(): Promise<void> {
  for (const stream of [process, process.stdout, process.stderr]) stream.setMaxListeners(0);
  let started = 0;
  const hang = (one: Command, words: string[]): void => {
    for (const child of one.commands) hang(child, [...words, child.name()]);
    if (one.commands.length > 0) return;
    one.action(() => {
      started += 1;
      return new Promise<void>(() => {});
    });
    const given = one.registeredArguments.flatMap(({ required, argChoices }) =>
      required ? [argChoices?.[0] ?? "x"] : [],
    );
    const mandatory = one.options.flatMap(({ mandatory, long, defaultValue, argChoices }) =>
      mandatory && defaultValue === undefined ? [long!, argChoices?.[0] ?? "x"] : [],
    );
    const program = new Command("gpubox").addCommand(root);
    void runProgram(() => strict(program), [...words, ...given, ...mandatory]);
  };
  let root: Command;
  for (const { name, load } of COMMANDS) {
    root = (await load()).definition as unknown as Command;
    hang(root, [name]);
  }
  process.on("exit", () => console.log(started));
}

/** Asks a box as `gpubox smoke` does, with little patience. */
function smokeOf(endpoint: string): Promise<void> {
  const program = new Command("gpubox").action(async () => {
    const checks = await smoke({ endpoint, key: undefined, models: [], log: () => {}, timeoutMs: 300 });
    for (const { ok, detail } of checks) if (!ok) console.log(detail);
  });
  return runProgram(() => strict(program), []);
}

const [what] = process.argv.slice(2);
void (what === "every-verb" ? everyVerb() : smokeOf(what!));

import { type ParseArgsConfig, parseArgs } from "node:util";
import { ConfigError } from "../configs/problems";
import { keepOutputForJson, UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { connectStack } from "../runner/ssh/stackHost";

/** An option of a verb: what `parseArgs` takes, and its line in the help. */
type Option = NonNullable<ParseArgsConfig["options"]>[string] & {
  /** One line: what it does. */
  help: string;
  /** What its value is called in the help: NAME. */
  value?: string;
};

type Options = Record<string, Option>;

/** What `npm run NAME -- --help` says. */
interface About<O extends Options> {
  /** The script's name in package.json. */
  name: string;
  /** One sentence: what the verb does. */
  does: string;
  /** The words after the name: `start|stop MODEL`. Default: none are taken. */
  words?: string;
  /** It talks to the stack's host: one behind SSH is connected first. Default: false. */
  onHost?: true;
  options: O;
}

/** Options that every verb has. */
const common = {
  json: {
    type: "boolean",
    default: false,
    help: "one JSON document on standard output, for scripts; what is said meanwhile goes to standard error",
  },
  help: { type: "boolean", short: "h", default: false, help: "this text" },
} satisfies Options;

/** The option of every verb that works on one stack. */
export const stackOption = {
  type: "string",
  default: "dev",
  value: "NAME",
  help: "the stack, Pulumi.NAME.yaml; default: dev",
} as const satisfies Option;

type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ options: O & typeof common; allowPositionals: true }>
>;

/** True from the moment that a verb runs with --json: standard output then belongs to its result. */
let json = false;

/**
 * Runs a verb of `npm run`. `--help` says what it does, and nothing else happens. A mistake of the user ends it with exit code
 * 1 and two lines, what is wrong and what to do; only a defect of gpubox itself shows a stack trace.
 *
 * @param action its result is what `--json` prints. A verb that writes a line as each thing happens returns nothing.
 *   A failure is `{ "error": { "what", "fix" } }` there.
 */
export function verb<const O extends Options>(
  about: About<O>,
  action: (given: Parsed<O>) => Promise<unknown>,
): void {
  // Ctrl-C reaches Pulumi, Compose and Docker too, which finish their step; leaving before them would leave a live lock.
  process.on("SIGINT", () => say("\nstopping after the step that runs"));
  perform(about, action).catch((error: unknown) => {
    const { what, fix } = inWords(error);
    if (json) console.log(JSON.stringify({ error: { what, fix } }));
    if (error instanceof UserError) console.error(`error: ${what}\n       ${fix}`);
    else if (error instanceof ConfigError || isArgumentError(error)) console.error(`error: ${what}`);
    else console.error(error);
    process.exitCode = 1;
  });
}

async function perform<const O extends Options>(
  about: About<O>,
  action: (given: Parsed<O>) => Promise<unknown>,
): Promise<void> {
  // Asked for before anything is parsed: whoever asks for help may not know the rest yet.
  if (process.argv.slice(2).some((word) => word === "--help" || word === "-h")) return say(helpOf(about));
  json = process.argv.slice(2).includes("--json");
  if (json) keepOutputForJson();
  const given = parseArgs({ options: { ...about.options, ...common }, allowPositionals: true });
  const [extra] = given.positionals;
  if (!about.words && extra !== undefined)
    throw new UserError(`"${extra}" is not understood.`, `See \`npm run ${about.name} -- --help\`.`);
  if (about.onHost) connectStack(defaultProjectDir, String((given.values as { stack?: string }).stack));
  const result = await action(given as Parsed<O>);
  if (json && result !== undefined) console.log(JSON.stringify(result, null, 2));
}

/** The text of `--help`: usage, what it does, and a line for each option. */
function helpOf(about: About<Options>): string {
  const options = Object.entries({ ...about.options, ...common }).map(([name, option]) => {
    const short = "short" in option ? `-${option.short}, ` : "";
    const value = "value" in option ? ` ${option.value}` : "";
    return [`${short}--${name}${value}`, option.help] as const;
  });
  const width = Math.max(...options.map(([flag]) => flag.length));
  return [
    `npm run ${about.name}${about.words ? ` ${about.words}` : ""} [-- OPTION …]`,
    "",
    about.does,
    "",
    ...options.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}`),
  ].join("\n");
}

/** An error as one sentence of what and one of what to do. */
function inWords(error: unknown): { what: string; fix: string } {
  if (error instanceof UserError) return error;
  if (error instanceof ConfigError) return { what: error.message, fix: "Correct the stack config." };
  if (isArgumentError(error)) return { what: error.message, fix: "Add `--help` to see the options." };
  return { what: String(error), fix: "This is a defect of gpubox: please report it with these lines." };
}

/** A flag that the verb does not have, or a value that is missing. */
function isArgumentError(error: unknown): error is Error {
  return error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}

/** One line to the person at the terminal. */
export function say(line = ""): void {
  if (json) console.error(line);
  else console.log(line);
}

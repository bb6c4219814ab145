import { type ParseArgsConfig, parseArgs, types } from "node:util";
import { ConfigError } from "../configs/problems";
import { visible } from "../configs/visible";
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

/** True from the moment that somebody has pressed Ctrl-C. */
let stopped = false;

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
  process.on("SIGINT", () => {
    stopped = true;
    say("\nstopping after the step that runs");
  });
  // A reader that has seen enough, as `| head` has, is no reason to leave work half done.
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  perform(about, action).catch((error: unknown) => {
    const told = inWords(error, stopped);
    const { what, fix } = told;
    if (json) console.log(JSON.stringify({ error: { what, fix } }));
    if (told.defect) console.error(error);
    else if (error instanceof ConfigError) console.error(`error: ${what}`);
    else console.error(`error: ${lines(what)}\n       ${lines(fix)}`);
    process.exitCode = stopped ? 130 : 1;
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
  checkStackName((given.values as { stack?: unknown }).stack);
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

/** What a program or a file said may have lines; whatever else moves the cursor is shown as text. */
function lines(text: string): string {
  return text.split("\n").map(visible).join("\n");
}

/** A stack's name becomes a part of paths, of containers' names, and of what a preview shows. */
function checkStackName(stack: unknown): void {
  if (typeof stack !== "string" || /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(stack)) return;
  throw new UserError(
    `"${stack}" cannot be a stack's name.`,
    "Write what stands in Pulumi.<stack>.yaml: letters, digits and . _ -.",
  );
}

interface Told {
  /** One sentence: what is wrong. */
  what: string;
  /** One sentence: what to do. */
  fix: string;
  /** True where gpubox itself is to blame: only then the place in its code helps anybody. */
  defect?: true;
}

/**
 * An error as one sentence of what and one of what to do.
 *
 * @param stopped somebody pressed Ctrl-C: children end in the middle of an answer, which is nobody's mistake
 */
export function inWords(error: unknown, stopped = false): Told {
  if (error instanceof UserError) return { what: error.what, fix: error.fix };
  if (error instanceof ConfigError) return { what: error.message, fix: "Correct the stack config." };
  if (isArgumentError(error)) return { what: error.message, fix: "Add `--help` to see the options." };
  if (stopped) return { what: "Stopped by Ctrl-C.", fix: "Run it again to go on." };
  if (isSystemError(error))
    return {
      what: `${error.message}.`,
      fix: "Look at that path or address: whether it is there, who may use it.",
    };
  return {
    what: String(error),
    fix: "This is a defect of gpubox: please report it with these lines.",
    defect: true,
  };
}

/** What the operating system refuses: a file that may not be read, a disk that is full, an address that nobody answers. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return types.isNativeError(error) && "syscall" in error && "code" in error;
}

/** A flag that the verb does not have, or a value that is missing. */
function isArgumentError(error: unknown): error is Error {
  return types.isNativeError(error) && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}

/** One line to the person at the terminal. */
export function say(line = ""): void {
  if (json) console.error(line);
  else console.log(line);
}

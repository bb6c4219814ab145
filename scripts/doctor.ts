import { diagnose } from "../configs/doctor";
import { configVerdict, type Verdict } from "../configs/doctor/row";
import { endpointOf } from "../configs/endpoint";
import { ConfigError } from "../configs/problems";
import { collect } from "../runner/doctor/collect";
import { planStack, readStack } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { readResolved } from "../runner/resolved";
import { findSecretStore, readSecrets, type Secrets } from "../runner/secrets";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "doctor",
  does: "Walks the table of docs/trouble.md and says which rows apply, each with what to do. Exit code 1 when one is wrong.",
  options: {
    stack: stackOption,
    since: {
      type: "string",
      default: "15m",
      value: "TIME",
      help: "how far back logs are read; default: 15m",
    },
    model: { type: "string", value: "NAME", help: "also: a model's name as a client writes it" },
    "key-env": {
      type: "string",
      value: "VARIABLE",
      help: "also: the environment variable with a client's key",
    },
  },
} as const;

const projectDir = defaultProjectDir;

/** Milliseconds after the verdict until what still hangs on this machine, such as a driver's tool, is left alone. */
const LEAVE_MS = 1_000;

verb(about, async ({ values }) => {
  const { stack, since, model } = values;
  const clientKey = keyOf(values["key-env"]);
  const secrets = await readSecrets(await findSecretStore(projectDir, stack));
  const verdicts = await walk(stack, secrets, { since, clientKey, clientModel: model });
  const wrong = verdicts.filter(({ state }) => state === "wrong");
  for (const verdict of verdicts) tell(verdict);
  for (const state of ["ok", "not looked at"] as const) {
    const names = verdicts.filter((one) => one.state === state).map(({ row }) => row);
    if (names.length > 0) say(`  ${state}: ${names.join(", ")}`);
  }
  if (wrong.length > 0) process.exitCode = 1;
  setTimeout(() => process.exit(), LEAVE_MS).unref();
  return { stack, well: wrong.length === 0, rows: verdicts };
});

async function walk(
  stack: string,
  secrets: Secrets,
  options: { since: string; clientKey?: string; clientModel?: string },
): Promise<Verdict[]> {
  try {
    const config = readStack(projectDir, stack, secrets);
    const box = planStack(projectDir, stack, secrets, readResolved(projectDir, stack));
    say(`doctor of the stack ${stack} at ${endpointOf(config)}`);
    return diagnose(box, await collect({ projectDir, box, config, secrets, ...options }));
  } catch (error) {
    if (error instanceof ConfigError) return [configVerdict(error.problems)];
    throw error;
  }
}

function keyOf(variable: string | undefined): string | undefined {
  if (variable === undefined || process.env[variable]) return process.env[variable ?? ""];
  throw new UserError(`The environment has no ${variable}.`, "Export it, or name another with --key-env.");
}

function tell({ row, state, findings }: Verdict): void {
  for (const { what, fix } of findings) {
    say(`  ${state === "wrong" ? "WRONG" : "note "}  ${row.padEnd(14)} ${what}`);
    say(`  ${"".padEnd(22)}${fix}`);
  }
}

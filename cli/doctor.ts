import { ConfigError } from "../configs/kit/problems";
import { endpointOf } from "../configs/network/endpoint";
import { clusterEndpoint } from "../configs/plan/kubernetes/target";
import { collect } from "../operations/doctor/collect";
import { collectCluster } from "../operations/doctor/collectCluster";
import { diagnose } from "../operations/doctor/diagnose";
import { diagnoseCluster } from "../operations/doctor/diagnoseCluster";
import { configVerdict, type Verdict } from "../operations/doctor/row";
import { UserError } from "../platform/process";
import { openStack } from "../platform/stack/openStack";
import { examples, printing, stackCommand } from "./command";
import { say } from "./output";

/**
 * Milliseconds after the verdict until the doctor abandons what still hangs on this machine, such as a driver's tool.
 */
const LEAVE_MS = 1_000;

export const definition = stackCommand("doctor")
  .description(
    "Check every row of docs/trouble.md, or of docs/kubernetes.md on a cluster, and say which apply, each with what to do. Exit code 1 when one is wrong.",
  )
  .option("--since <time>", "how far back logs are read", "15m")
  .option("--model <name>", "also check a model's name as a client writes it")
  .option("--key-env <variable>", "also check the client's key in this environment variable")
  .addHelpText("after", examples("doctor --stack box", "doctor --model gpt-5 --key-env OPENAI_API_KEY"))
  .action(
    printing(async ({ stack, since, model, keyEnv }) => {
      const clientKey = keyOf(keyEnv);
      const verdicts = await walk(stack, { since, clientKey, clientModel: model });
      const wrong = verdicts.filter(({ state }) => state === "wrong");
      for (const verdict of verdicts) tell(verdict);
      const well = verdicts.filter(({ state }) => state === "ok").map(({ row }) => row);
      if (well.length > 0) say(`  ok: ${well.join(", ")}`);
      for (const line of unread(verdicts)) say(`  not looked at: ${line}`);
      if (wrong.length > 0) process.exitCode = 1;
      setTimeout(() => process.exit(), LEAVE_MS).unref();
      return { stack, well: wrong.length === 0, rows: verdicts };
    }),
  );

async function walk(
  name: string,
  options: { since: string; clientKey?: string; clientModel?: string },
): Promise<Verdict[]> {
  try {
    const { config, plan: box, projectDir, secrets } = await openStack(name);
    say(`doctor of the stack ${name} at ${box.cluster ? clusterEndpoint(box) : endpointOf(config)}`);
    if (box.cluster) return diagnoseCluster(box, await collectCluster({ box, config, secrets, ...options }));
    return diagnose(box, await collect({ projectDir, box, config, secrets, ...options }));
  } catch (error) {
    if (error instanceof ConfigError) return [configVerdict(error.problems)];
    throw error;
  }
}

/** The rows that nobody could look at, a line for each reason. */
function unread(verdicts: Verdict[]): string[] {
  const blind = verdicts.filter(({ state }) => state === "not looked at");
  const reasons = [...new Set(blind.map(({ because }) => because))];
  return reasons.map((reason) => {
    const names = blind.filter(({ because }) => because === reason).map(({ row }) => row);
    return `${names.join(", ")} (${reason})`;
  });
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

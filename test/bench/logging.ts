import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { TRAJECTORY_ASSETS, TRAJECTORY_CALLBACK } from "../../configs/plan/trajectories";
import { output } from "../../platform/process";
import { packageDir } from "../../platform/project";
import type { LoadBox } from "../load/box";
import { type Beside, startBeside } from "./beside";
import { inTurn, median, pairedRatio, table } from "./figures";
import { CLIENTS, volley } from "./overhead";

/** Turns of each gateway; they alternate, so that whatever disturbs the machine disturbs both. */
const TURNS = 40;
/** What the log may take of the requests a second. */
const BAR = 0.05;

interface Gateway extends Beside {
  rates: number[];
  /** CPU milliseconds a request, of the whole container. */
  cpu: number[];
}

/** The gateway that serves, twice beside it: once as it is, and once with the trajectory log. */
export async function benchLogging(
  box: LoadBox,
  requests: number,
  say: (line: string) => void,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "gpubox-bench-logging-"));
  const gateways: Gateway[] = [];
  try {
    const log = join(folder, "log");
    mkdirSync(log);
    const changes = [
      { title: "without", suffix: "plain", log },
      { title: "with the log", suffix: "logged", log, edit: addLog },
    ];
    for (const change of changes)
      gateways.push({ ...(await startBeside(box, folder, change)), rates: [], cpu: [] });
    const perTurn = Math.ceil(requests / TURNS) * 4;
    for (const { way } of gateways) await volley(way, 8 * CLIENTS, false);
    for (const streamed of [false, true]) {
      for (const gateway of gateways) [gateway.rates, gateway.cpu] = [[], []];
      for (let turn = 0; turn < TURNS; turn++)
        for (const gateway of inTurn(gateways, turn)) {
          const before = await cpuMs(gateway.name);
          gateway.rates.push(await volley(gateway.way, perTurn, streamed));
          gateway.cpu.push(((await cpuMs(gateway.name)) - before) / perTurn);
        }
      report(gateways, streamed, say);
    }
    const lines = await output("sh", ["-c", `find ${folder}/log -name '*.jsonl' | xargs cat | wc -l`]);
    say(`\n${lines} lines and records were written`);
  } finally {
    for (const { name } of gateways) await output("docker", ["rm", "--force", name]);
    rmSync(folder, { recursive: true });
  }
}

function report(gateways: Gateway[], streamed: boolean, say: (line: string) => void): void {
  const [without, logged] = gateways as [Gateway, Gateway];
  const figures = gateways.map(({ way, rates, cpu }) => [
    way.title,
    median(rates).toFixed(1),
    median(cpu).toFixed(2),
  ]);
  const kind = streamed ? "streamed" : "plain";
  say(
    `\n${table([`${kind}, ${TURNS} turns`, `requests/s, ${CLIENTS} clients`, "CPU, ms/request"], figures)}`,
  );
  const lost = 1 - pairedRatio(logged.rates, without.rates);
  const more = pairedRatio(logged.cpu, without.cpu) - 1;
  const met = lost <= BAR ? "met" : "MISSED";
  say(
    `${(lost * 100).toFixed(1)} % fewer requests/s (bar: at most ${BAR * 100} %): ${met}; ${(more * 100).toFixed(1)} % more CPU a request`,
  );
}

function addLog(config: string): void {
  const path = join(config, "config.yaml");
  const settings = parse(readFileSync(path, "utf8"));
  settings.litellm_settings.callbacks = [TRAJECTORY_CALLBACK];
  writeFileSync(path, stringify(settings));
  for (const [name, asset] of Object.entries(TRAJECTORY_ASSETS))
    cpSync(join(packageDir, "assets", asset), join(config, name));
  const file = "/var/log/gpubox/{host}/litellm-trajectory.jsonl";
  writeFileSync(join(config, "trajectory.json"), JSON.stringify({ file }));
}

/** CPU time of LiteLLM's process, without the shell around it. */
async function cpuMs(container: string): Promise<number> {
  const main = await output("docker", ["inspect", "--format", "{{.State.Pid}}", container]);
  const children = readFileSync(`/proc/${main}/task/${main}/children`, "utf8").trim().split(" ");
  return Math.max(...children.map(ticksOf)) * 10;
}

/** Hundredths of a second, which Linux counts in. */
function ticksOf(pid: string): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

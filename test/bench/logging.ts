import {
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse, stringify } from "yaml";
import { TRAJECTORY_ASSETS, TRAJECTORY_CALLBACK } from "../../configs/plan/trajectories";
import { output } from "../../platform/process";
import { packageDir } from "../../platform/project";
import type { LoadBox } from "../load/box";
import { containersOf } from "../support/box";
import { median, table } from "./figures";
import { CLIENTS, volley, type Way } from "./overhead";
import { addressOf } from "./start";

const PORT = 4000;
/** Turns of each gateway; they alternate, so that whatever disturbs the machine disturbs both. */
const TURNS = 40;
/** What the log may take of the requests a second. */
const BAR = 0.05;
const NOBODY = 65534;

interface Gateway {
  title: string;
  name: string;
  way: Way;
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
    for (const logs of [false, true]) gateways.push(await start(box, folder, logs));
    const perTurn = Math.ceil(requests / TURNS) * 4;
    for (const { way } of gateways) await volley(way, 8 * CLIENTS, false);
    for (const streamed of [false, true]) {
      for (const gateway of gateways) [gateway.rates, gateway.cpu] = [[], []];
      for (let turn = 0; turn < TURNS; turn++)
        // Who begins takes turns too.
        for (const gateway of turn % 2 ? gateways : [...gateways].reverse()) {
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
  const figures = gateways.map(({ title, rates, cpu }) => [
    title,
    median(rates).toFixed(1),
    median(cpu).toFixed(2),
  ]);
  const kind = streamed ? "streamed" : "plain";
  say(
    `\n${table([`${kind}, ${TURNS} turns`, `requests/s, ${CLIENTS} clients`, "CPU, ms/request"], figures)}`,
  );
  // Turn by turn: other work comes and goes, and is much the same for two turns that follow each other.
  const lost = 1 - median(logged.rates.map((rate, turn) => rate / without.rates[turn]!));
  const more = median(logged.cpu.map((cpu, turn) => cpu / without.cpu[turn]!)) - 1;
  const met = lost <= BAR ? "met" : "MISSED";
  say(
    `${(lost * 100).toFixed(1)} % fewer requests/s (bar: at most ${BAR * 100} %): ${met}; ${(more * 100).toFixed(1)} % more CPU a request`,
  );
}

async function start(box: LoadBox, folder: string, logs: boolean): Promise<Gateway> {
  const { stack } = box.project;
  const serving = (await containersOf(stack)).gateway!;
  const name = `gpubox-${stack}-${logs ? "logged" : "plain"}`;
  const config = join(folder, logs ? "logged" : "plain");
  const format = '{{range .Mounts}}{{if eq .Destination "/etc/gpubox"}}{{.Source}}{{end}}{{end}}';
  cpSync(await output("docker", ["inspect", "--format", format, serving]), config, { recursive: true });
  mkdirSync(join(folder, "log"), { recursive: true });
  if (logs) addLog(config);
  for (const path of [
    folder,
    config,
    join(folder, "log"),
    ...readdirSync(config).map((file) => join(config, file)),
  ])
    chownSync(path, NOBODY, NOBODY);
  const environment = await output("docker", ["inspect", "--format", "{{json .Config.Env}}", serving]);
  await output("docker", [
    ...["run", "--detach", "--name", name, "--label", `gpubox.stack=${stack}`, "--label", "gpubox.keep=test"],
    ...["--network", `gpubox-${stack}-edge`, "--user", `${NOBODY}:${NOBODY}`, "--tmpfs", "/tmp:rw,size=512m"],
    ...(JSON.parse(environment) as string[]).flatMap((one) => ["--env", one]),
    ...["--volume", `${config}:/etc/gpubox:ro`, "--volume", `${join(folder, "log")}:/var/log/gpubox`],
    ...["--entrypoint", "sh", await output("docker", ["inspect", "--format", "{{.Image}}", serving])],
    "/etc/gpubox/entrypoint.sh",
  ]);
  for (const network of ["data", "models"])
    await output("docker", ["network", "connect", `gpubox-${stack}-${network}`, name]);
  const host = await addressOf(name, `gpubox-${stack}-edge`);
  await box.secondsUntil(async () => ready(`http://${host}:${PORT}/health/readiness`));
  const target = { host, port: PORT, key: box.key, agent: new http.Agent({ keepAlive: true }) };
  const title = logs ? "with the log" : "without";
  return { title, name, way: { title, target, model: "echo" }, rates: [], cpu: [] };
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

async function ready(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    await sleep(200);
    return false;
  }
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

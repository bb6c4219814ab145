import { output } from "../../platform/process";
import type { LoadBox } from "../load/box";
import { keptOpen } from "../load/exchange";
import { median, table } from "./figures";
import { volley, type Way } from "./overhead";
import { pulumi } from "./pulumi";
import { addressOf } from "./start";

export const REPLICAS = [1, 2, 4, 8];
/** Of a core. Eight of them leave a core of two to the edge, the clients and the stub. */
const SHARE = 0.12;
/** Enough that each of eight replicas has a request and one that waits. */
const CLIENTS = 32;
const TURNS = 5;
const PORT = 4000;

/**
 * How the requests a second grow with the gateways, on a machine with fewer cores than gateways: each gets the same small part of a core
 * once it has started, so that the sum grows as it would with so many cores.
 */
export async function benchReplicas(box: LoadBox, requests: number, say: (line: string) => void) {
  const { stack } = box.project;
  const network = `gpubox-${stack}-edge`;
  const results: { replicas: number; rate: number; perReplica: number }[] = [];
  for (const replicas of REPLICAS) {
    const edge = await addressOf(network, network);
    box.edit((config) => Object.assign(config["gpubox:gateway"]!, { replicas, hosts: [edge] }));
    await pulumi(box.project, ["up", "--yes", "--skip-preview"]);
    const gateways = await box.gateways();
    if (gateways.length !== replicas) throw new Error(`${gateways.length} gateways and not ${replicas}`);
    await output("docker", ["update", "--cpus", `${SHARE}`, ...gateways]);
    const target = keptOpen(edge, PORT, box.key);
    const way: Way = { title: `${replicas}`, target, model: "echo" };
    const rates: number[] = [];
    // What only the first requests pay for is nobody's share.
    await volley(way, 8 * replicas, false, CLIENTS);
    for (let turn = 0; turn < TURNS; turn++)
      rates.push(await volley(way, Math.ceil((requests / TURNS) * Math.sqrt(replicas)), false, CLIENTS));
    target.agent.destroy();
    const rate = median(rates);
    results.push({ replicas, rate, perReplica: rate / replicas });
    say(`  ${replicas} of ${SHARE} cores each: ${rate.toFixed(1)} requests/s`);
  }
  const base = results[0]!.rate;
  const rows = results.map(({ replicas, rate, perReplica }) => [
    `${replicas}`,
    rate.toFixed(1),
    (rate / base).toFixed(2),
    perReplica.toFixed(1),
  ]);
  say(`\n${table(["gateways", "requests/s", "× one", "each"], rows)}`);
  return results;
}

import { renderText } from "../../configs/kit/text";
import { valveUrl } from "../../configs/plan/valve";
import { modelPort } from "../../configs/stack/instances";
import { output } from "../../platform/process";
import { type LoadBox, setModel } from "../load/box";
import { exchange, keptOpen, type Target } from "../load/exchange";
import { complete, containersOf } from "../support/box";
import { pause } from "../support/wait";
import { inTurn, median, pairedRatio, quantile, table } from "./figures";
import { pulumi } from "./pulumi";
import { addressOf } from "./start";

export const CLIENTS = 8;
/** Milliseconds; what LiteLLM does after an answer takes a tenth of it. */
const REST_MS = 30;
/** Turns that the ways take at throughput. Two of them that follow each other differ by a tenth on a machine that also serves. */
const TURNS = 15;
const PORT = 4000;
/**
 * The model whose backend is reached with and without its valve. One thread: with more, llama.cpp's threads wait for each
 * other in busy loops, and on few cores an answer of 2 ms takes half a second now and then.
 */
export const LOCAL_MODEL = {
  engine: "llamacpp",
  model: "canned",
  memoryMiB: 1024,
  parallel: CLIENTS,
  threads: 1,
};

/** A way to one answer. */
export interface Way {
  title: string;
  target: Target;
  model: string;
  /** The whole answer of a model that is not the stub. */
  expected?: string;
}

interface Figures {
  p50: number;
  p99: number;
  first: number;
  rate: number;
  /** Its requests a second by those of the first way. */
  share: number;
}

/** What the edge adds to a request, and what the valve does: the same request on both ways, one after the other. */
export async function benchOverhead(box: LoadBox, requests: number, say: (line: string) => void) {
  const stack = box.project.stack;
  await addWays(box);
  const { gateway } = await containersOf(stack);
  const edgeAddress = await addressOf(`gpubox-${stack}-edge`, `gpubox-${stack}-edge`);
  const gatewayAddress = await addressOf(gateway!, `gpubox-${stack}-edge`);
  const at = (host: string, port: number) => keptOpen(host, port, box.key);
  const published = at("127.0.0.1", Number(new URL(box.project.endpoint).port));
  const alone = at(gatewayAddress, PORT);
  const expected = await complete(box.project.endpoint, box.key, "valved");
  const edge = await compare("edge", requests, say, [
    { title: "gateway alone", target: alone, model: "echo" },
    { title: "through the edge", target: at(edgeAddress, PORT), model: "echo" },
    { title: "… and the published port", target: published, model: "echo" },
  ]);
  const valve = await compare("valve", requests, say, [
    { title: "backend alone", target: alone, model: "unvalved", expected },
    { title: "through the valve", target: alone, model: "valved", expected },
  ]);
  return [...edge, ...valve];
}

/** The backend joins a network of the gateway: the only difference between the two models is the address. */
async function addWays(box: LoadBox): Promise<void> {
  const prefix = `gpubox-${box.project.stack}`;
  await output("docker", ["network", "connect", `${prefix}-edge`, `${prefix}-backend-tiny`]);
  const edge = await addressOf(`${prefix}-edge`, `${prefix}-edge`);
  // The key between gateway and backends, as the plan derives it.
  const salt = await box.shell(`pulumi config get gpubox:saltKey --stack ${box.project.stack}`);
  const key = renderText([{ secret: "saltKey", as: "derived" }], { saltKey: salt.stdout.trim() });
  await box.setSecret("backendKey", key);
  const apiKey = { secret: "backendKey" };
  const entry = (url: string) => ({ engine: "openai", baseUrl: `${url}/v1`, model: "tiny", apiKey });
  box.edit((config) => {
    setModel(config, "unvalved", entry(`http://${prefix}-backend-tiny:${modelPort("tiny")}`));
    setModel(config, "valved", entry(valveUrl("tiny")));
    config["gpubox:gateway"]!.hosts = [edge];
  });
  await pulumi(box.project, ["up", "--yes", "--skip-preview"]);
}

/** A table with a row for each way; the first is what the others are compared with. */
export async function compare(
  title: string,
  requests: number,
  say: (line: string) => void,
  ways: Way[],
): Promise<(Figures & { title: string })[]> {
  const all = await measure(ways, requests);
  const base = all[0]!;
  const signed = (value: number, digits: number) =>
    `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
  const more = (value: number, from: number) => `${value.toFixed(2)} (${signed(value - from, 2)})`;
  const rows = ways.map((way, index) => {
    const { p50, p99, first, rate, share } = all[index]!;
    if (index === 0) return [way.title, ...[p50, p99, first].map((ms) => ms.toFixed(2)), rate.toFixed(0)];
    return [
      way.title,
      more(p50, base.p50),
      more(p99, base.p99),
      more(first, base.first),
      `${rate.toFixed(0)} (${signed((share - 1) * 100, 1)} %)`,
    ];
  });
  say(`\n${table([title, "p50, ms", "p99, ms", "first token, ms", `requests/s, ${CLIENTS} clients`], rows)}`);
  return ways.map(({ title }, index) => ({ title, ...all[index]! }));
}

async function measure(ways: Way[], requests: number): Promise<Figures[]> {
  const collected = ways.map(() => ({ plain: [] as number[], first: [] as number[], rates: [] as number[] }));
  // What only the first requests pay for is nobody's overhead.
  for (const way of ways) await volley(way, 4 * CLIENTS, false);
  for (let request = 0; request < requests; request++) {
    for (const [index, way] of ways.entries()) {
      const { plain, first } = collected[index]!;
      plain.push((await rested(way, false)).totalMs);
      first.push((await rested(way, true)).waitMs);
    }
  }
  for (let turn = 0; turn < TURNS; turn++)
    for (const [index, way] of inTurn([...ways.entries()], turn))
      collected[index]!.rates.push(await volley(way, Math.ceil(requests / 3), false));
  for (const { target } of ways) target.agent.destroy();
  return collected.map(({ plain, first, rates }) => ({
    p50: median(plain),
    p99: quantile(plain, 0.99),
    first: median(first),
    rate: median(rates),
    share: pairedRatio(rates, collected[0]!.rates),
  }));
}

/**
 * Asks a gateway that has done with the request before. LiteLLM counts and logs when an answer has ended, and a way on which the end
 * comes late would make the next way look fast.
 */
async function rested(way: Way, streamed: boolean) {
  await pause(REST_MS, "the gateway does what follows an answer");
  return ask(way, streamed);
}

/** Requests a second with all clients at once. */
export async function volley(
  way: Way,
  requests: number,
  streamed: boolean,
  clients = CLIENTS,
): Promise<number> {
  const began = performance.now();
  let asked = 0;
  const client = async () => {
    while (asked++ < requests) await ask(way, streamed);
  };
  await Promise.all(Array.from({ length: clients }, client));
  return requests / ((performance.now() - began) / 1000);
}

let asked = 0;

async function ask({ target, model, expected, title }: Way, streamed: boolean) {
  // Another question each time, so that no cache answers.
  const nonce = `n${++asked}x`;
  const question = { protocol: "openai" as const, model, streamed, nonce, chunks: 4, interval: 0, expected };
  const verdict = await exchange(target, question);
  if (verdict.kind !== "ok") throw new Error(`${title}: ${verdict.kind}, ${verdict.reason}`);
  return verdict;
}

import { setTimeout as sleep } from "node:timers/promises";
import { output } from "../../platform/process";
import type { LoadBox } from "../load/box";
import { setModel } from "../load/box";
import { complete, containersOf, modelsAt } from "../support/box";
import { median, seconds, table, verdict } from "./figures";
import { type EngineEvent, type PulumiRun, pulumi } from "./pulumi";

const BAR = 2;
const LIMIT_MS = 180_000;
const GATEWAY_PORT = 4000;

/** Milliseconds from the edit to the next step; together they are the whole way. */
interface Change {
  /** `pulumi up` begins, until the new gateway's process does. */
  engine: number;
  /** … until it answers readiness with 200. */
  start: number;
  /** … until the proof has passed. */
  proof: number;
  /** … until a client gets an answer of the new model through the edge. */
  switch: number;
  total: number;
  /** Parts of `engine`: moments since `pulumi up` began. */
  engineParts: Record<string, number>;
}

/**
 * How long a model add takes until the model is served, its backend being up already, against the start of a bare LiteLLM
 * with the same config; the two take turns, so that whatever else the machine does meets both.
 */
export async function benchStart(box: LoadBox, runs: number, say: (line: string) => void) {
  const changes: Change[] = [];
  const bare: number[] = [];
  for (let run = 1; run <= runs; run++) {
    const change = await addModel(box, `added-${run}`);
    changes.push(change);
    // Afterwards and not before: its config is then the one that the new generation has started with.
    bare.push(await startBare(box));
    say(`  run ${run}: model add ${seconds(change.total)} s, bare start ${seconds(bare.at(-1)!)} s`);
  }
  const of = (part: (change: Change) => number) => seconds(median(changes.map(part)));
  const ratio = median(changes.map(({ total }) => total)) / median(bare);
  const rows = [
    ["edit to served", of(({ total }) => total)],
    ["- engine: `pulumi up` to the gateway's process", of(({ engine }) => engine)],
    ["- start: process to readiness", of(({ start }) => start)],
    ["- proof: readiness to proven", of(({ proof }) => proof)],
    ["- switch: proven to answered through the edge", of((change) => change.switch)],
    ["bare LiteLLM: `docker run` to readiness", seconds(median(bare))],
  ];
  say(`\n${table(["start", `median of ${runs}, s`], rows)}`);
  const parts = Object.keys(changes[0]!.engineParts);
  const moments = parts.map((part) => `${part} ${of(({ engineParts }) => engineParts[part]!)}`);
  say(`\nengine, seconds since \`pulumi up\`: ${moments.join(", ")}`);
  say(`edit to served / bare start: ${verdict(ratio, BAR)}`);
  return { changesMs: changes, bareMs: bare, ratio };
}

async function addModel(box: LoadBox, name: string): Promise<Change> {
  const { project, key } = box;
  box.edit((config) => setModel(config, name, box.stubModel("echo")));
  const prefix = `gpubox-${project.stack}`;
  let ready: Promise<{ started: number; ready: number }> | undefined;
  const served = until(async () => (await modelsAt(project.endpoint, key)).includes(name)).then(async () => {
    const answer = await complete(project.endpoint, key, name);
    if (/^\d{3} /.test(answer)) throw new Error(`${name} is listed and does not answer: ${answer}`);
    return Date.now();
  });
  const up = pulumi(project, ["up", "--yes", "--skip-preview", "--json"], (event) => {
    if (!isCreated(event, `${prefix}-gateway`) || !event.id) return;
    ready = watchReady(event.id, project.stack);
    // Where `up` fails, that is the error to see.
    ready.catch(() => {});
  });
  const [run, servedAt] = await Promise.all([up, served]);
  if (!ready) throw new Error("the change made no new gateway");
  const gateway = await ready;
  const proven = momentOf(run, `${prefix}-gateway-proof`);
  return {
    engine: gateway.started - run.began,
    start: gateway.ready - gateway.started,
    proof: proven - gateway.ready,
    switch: servedAt - proven,
    total: servedAt - run.began,
    engineParts: {
      "engine up": run.events[0]!.at - run.began,
      "program's first resource": run.events.find(({ type }) => type?.startsWith("gpubox:"))!.at - run.began,
      "files written": momentOf(run, `${prefix}-gateway-files-write`) - run.began,
      "container created": momentOf(run, `${prefix}-gateway`) - run.began,
    },
  };
}

const CUSTOM = /^(docker|command):/;

function isCreated({ kind, op, name, type }: EngineEvent, wanted: string): boolean {
  return (
    kind === "resOutputsEvent" &&
    name === wanted &&
    CUSTOM.test(type ?? "") &&
    (op ?? "").startsWith("create")
  );
}

function momentOf({ events }: PulumiRun, name: string): number {
  const event = events.find((event) => isCreated(event, name));
  if (!event) throw new Error(`the change did not make ${name}`);
  return event.at;
}

/** When a container's process began and when LiteLLM in it was ready. */
async function watchReady(id: string, stack: string): Promise<{ started: number; ready: number }> {
  const started = await output("docker", ["inspect", "--format", "{{.State.StartedAt}}", id]);
  const address = await addressOf(id, `gpubox-${stack}-edge`);
  return { started: Date.parse(started), ready: await readyAt(address) };
}

/** A container's address on a network; host and container reach each other there without a published port. */
export async function addressOf(container: string, network: string): Promise<string> {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return output("docker", ["inspect", "--format", format, container]);
}

async function readyAt(address: string): Promise<number> {
  const url = `http://${address}:${GATEWAY_PORT}/health/readiness`;
  await until(async () => (await fetch(url)).status === 200);
  return Date.now();
}

/** Asks every 100 ms until the answer is yes; a refused connection is a no. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while (!(await holds().catch(() => false))) {
    if (Date.now() > end) throw new Error(`it did not happen within ${LIMIT_MS / 1000} s`);
    await sleep(100);
  }
}

/** Milliseconds from `docker run` of the serving gateway's image, config and environment to readiness. */
export async function startBare({ project: { stack } }: LoadBox): Promise<number> {
  const { gateway } = await containersOf(stack);
  const inspect = (format: string) => output("docker", ["inspect", "--format", format, gateway!]);
  const image = await inspect("{{.Config.Image}}");
  const env = JSON.parse(await inspect("{{json .Config.Env}}")) as string[];
  const config = await inspect(
    '{{range .Mounts}}{{if eq .Destination "/etc/gpubox"}}{{.Source}}{{end}}{{end}}',
  );
  const network = `gpubox-${stack}-data`;
  const name = `gpubox-${stack}-bare`;
  const litellm = "litellm --config /etc/gpubox/config.yaml --host 0.0.0.0 --port 4000 --num_workers 1";
  const began = Date.now();
  await output("docker", [
    ...[
      "run",
      "--detach",
      "--name",
      name,
      "--label",
      `gpubox.stack=${stack}`,
      "--label",
      "gpubox.keep=bench",
    ],
    // Redis and Postgres are all that a start reaches for.
    ...[
      "--network",
      network,
      "--user",
      "65534:65534",
      "--tmpfs",
      "/tmp",
      "--volume",
      `${config}:/etc/gpubox:ro`,
    ],
    ...env.flatMap((variable) => ["--env", variable]),
    ...["--entrypoint", "sh", image, "-c", `set -a; . /etc/gpubox/gateway.env; set +a; exec ${litellm}`],
  ]);
  try {
    return (await readyAt(await addressOf(name, network))) - began;
  } finally {
    await output("docker", ["rm", "--force", name]);
  }
}

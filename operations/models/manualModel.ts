import { setTimeout as sleep } from "node:timers/promises";
import { type ModelContainer, serversOf } from "../../configs/capacity/servers";
import { deviceShortage } from "../../configs/capacity/shortage";
import { gibibytes, MIB } from "../../configs/kit/sizes";
import { awaitHealthy } from "../../configs/kit/steps";
import type { BoxPlan } from "../../configs/kit/types";
import { connectionOf } from "../../configs/network/engine";
import { modelServers } from "../../configs/plan/box";
import { forgetStarted, rememberStarted, startCommand, stopCommand } from "../../configs/plan/manual";
import { dockerAt } from "../../platform/docker/client";
import { closeValves, openValves } from "../../platform/docker/valves";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";

/** Seconds that running requests get when a model stops: the longest that LiteLLM allows one. */
const DRAIN_SECONDS = 600;

/** Seconds between two lines while a model loads. */
const PROGRESS_SECONDS = 5;

/**
 * Starts a model's containers, one for each instance, and waits until they serve. In a slot this loads nothing.
 *
 * @param name a model's public name, or one of its instances'
 * @throws UserError when there is no such model here, when it does not fit next to what runs, and, with its last words,
 * when it does not become healthy
 */
export async function startModel(plan: BoxPlan, name: string, log: Log): Promise<void> {
  const servers = serversCalled(plan, name);
  for (const server of servers) await startServer(plan, server, log);
  const at = `${plan.endpoint}${connectionOf(plan.docker) ? ", an address of the host" : ""}`;
  log(
    servers.some(({ onDemand }) => onDemand)
      ? `${name} loads at the first request, at ${at}`
      : `${name} serves at ${at}`,
  );
}

/**
 * Stops a model's containers after their running requests have finished. After 600 s it cuts the rest. From the first moment,
 * new requests get a 503. A slot stops with all its models.
 *
 * @param name a model's public name, or one of its instances'
 * @throws UserError when there is no such model here
 */
export async function stopModel(plan: BoxPlan, name: string, log: Log): Promise<void> {
  for (const server of serversCalled(plan, name)) await stopServer(plan, server, log);
}

async function startServer(plan: BoxPlan, server: ModelContainer, log: Log): Promise<void> {
  if ((await stateOf(plan, server)) === "running") {
    log(`${server.title} runs already`);
  } else {
    await requireRoom(plan, server);
    await dockerAt(plan.docker).output(["start", containerName(plan, server)]);
  }
  if (!server.service.container.started) await mark(plan, server, rememberStarted);
  await openValves(plan.docker, valvesOf(plan, server));
  await loaded(plan, server, log);
}

async function stopServer(plan: BoxPlan, server: ModelContainer, log: Log): Promise<void> {
  const { title, names, shared } = server;
  const { started, stopGraceSeconds } = server.service.container;
  if (!started) await mark(plan, server, forgetStarted);
  if ((await stateOf(plan, server)) !== "running") {
    log(`${title} does not run`);
    return;
  }
  for (const line of await closeValves(plan.docker, valvesOf(plan, server), DRAIN_SECONDS)) log(line);
  const stop = ["stop", "--time", String(stopGraceSeconds), containerName(plan, server)];
  await dockerAt(plan.docker).output(stop);
  await openValves(plan.docker, valvesOf(plan, server));
  const all = shared ? `, and ${names.join(", ")} with it` : "";
  log(`${title} is stopped${all}; ${startCommand(plan.stack, names[0]!)} starts it again`);
  if (started) log("The next `gpubox up` starts it again, because its entry does not say start: manual.");
}

function serversCalled(plan: BoxPlan, name: string): ModelContainer[] {
  const servers = serversOf(plan);
  const found = servers.filter(({ names }) => names.includes(name));
  if (found.length > 0) return found;
  const models = modelServers(plan).map(({ model }) => model);
  throw new UserError(
    `The stack ${plan.stack} has no model "${name}" with a container of its own.`,
    `Name one of these: ${[...new Set(models)].join(", ") || "none"}.`,
  );
}

function containerName(plan: BoxPlan, { service }: ModelContainer): string {
  return `${plan.prefix}-${service.container.name}`;
}

/** Whether a container runs. A restarting one counts, because Docker starts it again. */
async function stateOf(plan: BoxPlan, server: ModelContainer): Promise<"running" | "stopped"> {
  const args = ["inspect", "--format", "{{.State.Status}}", containerName(plan, server)];
  const result = await dockerAt(plan.docker).run(args);
  if (result.code !== 0)
    throw new UserError(
      `The container of ${server.title} does not exist: ${result.stderr.trim()}.`,
      `Bring the stack up first: gpubox up --stack ${plan.stack}.`,
    );
  return ["running", "restarting", "paused"].includes(result.stdout.trim()) ? "running" : "stopped";
}

/** Refuses a start that does not fit. A running slot counts with its largest model, which it may load at any time. */
async function requireRoom(plan: BoxPlan, server: ModelContainer): Promise<void> {
  if (!server.needs) return;
  const others = serversOf(plan).filter((one) => one.title !== server.title && one.needs);
  const states = await Promise.all(others.map((one) => stateOf(plan, one)));
  const running = others.filter((_, index) => states[index] === "running");
  const missing = deviceShortage(
    server.needs,
    running.map(({ names, needs = [] }) => ({ model: names[0]!, needs })),
    plan.devices,
  );
  if (!missing) return;
  throw new UserError(
    `${server.title} does not fit on device ${missing.device}: ${gibibytes(missing.missingMib * MIB)} are missing next to what runs there.`,
    missing.stop.length > 0
      ? `Stop what is in its way: ${missing.stop.map((model) => stopCommand(plan.stack, model)).join(" && ")}.`
      : "It would not fit even with everything else stopped: give it less context, or another device.",
  );
}

type Marker = (image: string, dataDir: string, container: string) => string;

async function mark(plan: BoxPlan, { service }: ModelContainer, marker: Marker): Promise<void> {
  const script = marker(plan.edge.container.image, plan.dataDir, service.container.name);
  await dockerAt(plan.docker).scriptOutput(script);
}

function valvesOf(plan: BoxPlan, { valves }: ModelContainer): string[] {
  return valves.map(({ container }) => `${plan.prefix}-${container.name}`);
}

async function loaded(plan: BoxPlan, server: ModelContainer, log: Log): Promise<void> {
  const { readySeconds, name, health } = server.service.container;
  const from = Date.now();
  const waiting = dockerAt(plan.docker).script(awaitHealthy(health.test), {
    env: {
      GPUBOX_CONTAINER: containerName(plan, server),
      GPUBOX_NAME: name,
      GPUBOX_SECONDS: String(readySeconds),
    },
  });
  for (;;) {
    const result = await Promise.race([waiting, sleep(PROGRESS_SECONDS * 1000)]);
    const seconds = Math.round((Date.now() - from) / 1000);
    if (!result) {
      log(`${server.title} loads: ${seconds} s of at most ${readySeconds} s`);
      continue;
    }
    if (result.code === 0) {
      log(`${server.title} ${server.onDemand ? "answers" : "is loaded"} after ${seconds} s`);
      return;
    }
    throw new UserError(
      `${server.title} did not start: ${result.stderr.trim()}`,
      `Correct it and try again, or stop it: ${stopCommand(plan.stack, server.names[0]!)}.`,
    );
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import { forgetStarted, rememberStarted, startCommand, stopCommand } from "../configs/plan/manual";
import { noRoom } from "../configs/plan/room";
import { AWAIT_HEALTHY } from "../configs/plan/steps";
import type { BackendPlan, BoxPlan } from "../configs/plan/types";
import { output, run, UserError } from "./process";
import type { Log } from "./project";

/** Seconds that running requests get when a model is stopped: as long as LiteLLM lets one take. */
const DRAIN_SECONDS = 600;

/** Seconds between two lines while a model loads. */
const PROGRESS_SECONDS = 5;

/**
 * Starts a model's containers, one for each of its instances, and waits until they serve.
 *
 * @param name a model's public name, or one of its instances'
 * @throws UserError when there is no such model here, when it does not fit beside what runs, and when it does not get well:
 *   with its last words
 */
export async function startModel(plan: BoxPlan, name: string, log: Log): Promise<void> {
  for (const backend of backendsOf(plan, name)) await startBackend(plan, backend, log);
  log(`${name} serves at ${plan.endpoint}`);
}

/**
 * Stops a model's containers after their running requests have finished, at most 600 s each. From the first moment on, new
 * ones are answered 503.
 *
 * @param name a model's public name, or one of its instances'
 * @throws UserError when there is no such model here
 */
export async function stopModel(plan: BoxPlan, name: string, log: Log): Promise<void> {
  for (const backend of backendsOf(plan, name)) await stopBackend(plan, backend, log);
}

async function startBackend(plan: BoxPlan, backend: BackendPlan, log: Log): Promise<void> {
  if ((await stateOf(plan, backend)) === "running") {
    log(`${backend.instance} runs already`);
  } else {
    await requireRoom(plan, backend);
    await output("docker", ["-H", plan.docker, "start", containerName(plan, backend)]);
  }
  if (!backend.service.container.started) await mark(plan, backend, rememberStarted);
  await undrain(plan, backend);
  await awaitHealthy(plan, backend, log);
}

async function stopBackend(plan: BoxPlan, backend: BackendPlan, log: Log): Promise<void> {
  const { instance } = backend;
  const { started, stopGraceSeconds } = backend.service.container;
  if (!started) await mark(plan, backend, forgetStarted);
  if ((await stateOf(plan, backend)) !== "running") {
    log(`${instance} does not run`);
    return;
  }
  const drained = await valve(plan, backend, String(DRAIN_SECONDS));
  log(drained.code === 0 ? drained.stdout.trim() : "its valve does not run: nothing is drained");
  const stop = ["stop", "--time", String(stopGraceSeconds), containerName(plan, backend)];
  await output("docker", ["-H", plan.docker, ...stop]);
  await undrain(plan, backend);
  log(`${instance} is stopped; ${startCommand(plan.stack, instance)} starts it again`);
  if (started) log("The next `npm run up` starts it again, because its entry does not say start: manual.");
}

function backendsOf(plan: BoxPlan, name: string): BackendPlan[] {
  const found = plan.backends.filter(({ model, instance }) => [model, instance].includes(name));
  if (found.length > 0) return found;
  const names = [...new Set(plan.backends.map(({ model }) => model))].join(", ") || "none";
  throw new UserError(
    `The stack ${plan.stack} has no model "${name}" with a container of its own.`,
    `Name one of these: ${names}.`,
  );
}

function containerName(plan: BoxPlan, backend: BackendPlan): string {
  return `${plan.prefix}-${backend.service.container.name}`;
}

/** Docker's word for a container's state. One that is restarting counts as running: Docker means it to run. */
async function stateOf(plan: BoxPlan, backend: BackendPlan): Promise<"running" | "stopped"> {
  const args = ["-H", plan.docker, "inspect", "--format", "{{.State.Status}}", containerName(plan, backend)];
  const result = await run("docker", args);
  if (result.code !== 0)
    throw new UserError(
      `The container of ${backend.instance} is not there: ${result.stderr.trim()}.`,
      `Bring the stack up first: npm run up -- --stack ${plan.stack}.`,
    );
  return ["running", "restarting", "paused"].includes(result.stdout.trim()) ? "running" : "stopped";
}

async function requireRoom(plan: BoxPlan, backend: BackendPlan): Promise<void> {
  if (!backend.needs) return;
  const others = plan.backends.filter((one) => one !== backend && one.needs);
  const states = await Promise.all(others.map((one) => stateOf(plan, one)));
  const running = others.filter((_, index) => states[index] === "running");
  const missing = noRoom(
    backend.needs,
    running.map(({ instance, needs = [] }) => ({ model: instance, needs })),
    plan.devices,
  );
  if (!missing) return;
  const gib = (missing.missingMib / 1024).toFixed(1);
  throw new UserError(
    `${backend.instance} does not fit on device ${missing.device}: ${gib} GiB are missing beside what runs there.`,
    missing.stop.length > 0
      ? `Stop what is in its way: ${missing.stop.map((model) => stopCommand(plan.stack, model)).join(" && ")}.`
      : "Even with everything else stopped it would not fit: give it less context, or another device.",
  );
}

type Marker = (image: string, dataDir: string, container: string) => string;

async function mark(plan: BoxPlan, backend: BackendPlan, marker: Marker): Promise<void> {
  const script = marker(plan.edge.container.image, plan.dataDir, backend.service.container.name);
  await output("sh", ["-c", script], { env: { DOCKER_HOST: plan.docker } });
}

function valve(plan: BoxPlan, backend: BackendPlan, argument: string) {
  const name = `${plan.prefix}-${backend.valve.container.name}`;
  return run("docker", ["-H", plan.docker, "exec", name, "bash", "/etc/gpubox/drain.sh", argument]);
}

/** A valve that is gone has nothing to undo: it begins open. */
async function undrain(plan: BoxPlan, backend: BackendPlan): Promise<void> {
  await valve(plan, backend, "--undo");
}

async function awaitHealthy(plan: BoxPlan, backend: BackendPlan, log: Log): Promise<void> {
  const { readySeconds, name } = backend.service.container;
  const from = Date.now();
  const waiting = run("sh", ["-c", AWAIT_HEALTHY], {
    env: {
      DOCKER_HOST: plan.docker,
      GPUBOX_CONTAINER: containerName(plan, backend),
      GPUBOX_NAME: name,
      GPUBOX_SECONDS: String(readySeconds),
    },
  });
  for (;;) {
    const result = await Promise.race([waiting, sleep(PROGRESS_SECONDS * 1000)]);
    const seconds = Math.round((Date.now() - from) / 1000);
    if (!result) {
      log(`${backend.instance} loads: ${seconds} s of at most ${readySeconds} s`);
      continue;
    }
    if (result.code === 0) {
      log(`${backend.instance} is loaded after ${seconds} s`);
      return;
    }
    throw new UserError(
      `${backend.instance} did not start: ${result.stderr.trim()}`,
      `Correct it and try again; ${stopCommand(plan.stack, backend.instance)} gives up.`,
    );
  }
}

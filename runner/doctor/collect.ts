import type { Answer, Facts, FoundGpus, PortFacts, RemoteFacts } from "../../configs/doctor/facts";
import { sshAddress } from "../../configs/host/address";
import { firewallStep, rulesHidden } from "../../configs/host/firewall";
import { planHost } from "../../configs/host/prepare";
import { PROBE } from "../../configs/plan/names";
import type { BoxPlan } from "../../configs/plan/types";
import type { StackConfig } from "../../configs/schema/stack";
import { findDocker } from "../dockerEngine";
import { firewallInput } from "../host/firewall";
import { readHost } from "../host/prepare";
import { hostShell } from "../host/shell";
import { disks, freeMemory, holderOf, onHost } from "../machine";
import { UserError } from "../process";
import type { Secrets } from "../secrets";
import { connectHost } from "../ssh/connection";
import { reachEndpoint } from "../ssh/reach";
import { containersOf, networksOf } from "./containers";
import { edgeOf, gatewayLook, postgresSays, valvesOf } from "./insides";
import { lately } from "./lately";

/** Milliseconds for an answer of the box: the edge holds a request for a minute when no gateway is there. */
const ANSWER_MS = 8_000;

export interface CollectOptions {
  projectDir: string;
  box: BoxPlan;
  config: StackConfig;
  secrets: Secrets;
  /** How far back logs are read, in Docker's words: `15m`. */
  since: string;
  /** A key that a client uses. It is never printed. */
  clientKey?: string;
  /** A model's name that a client uses. */
  clientModel?: string;
}

/** Looks at everything that the rows of the doctor judge. Changes nothing; what cannot be looked at is left out. */
export async function collect(options: CollectOptions): Promise<Facts> {
  const { box, config, secrets, since, clientKey, clientModel, projectDir } = options;
  const unreachable = reachHost(projectDir, config);
  if (unreachable)
    return { docker: { state: "silent", reason: "see ssh" }, clientModel, host: { unreachable } };
  const found = await findDocker(box.docker);
  const remote = await remoteFacts(projectDir, config);
  const host = {
    ...(await hostFacts(config, box.docker, found.state === "answers" ? found.engine : undefined)),
    remote,
    firewall: remote === "here" ? await missingRules(projectDir, config) : undefined,
  };
  if (found.state !== "answers") return { docker: found, clientModel, host };

  const [containers, networks] = await Promise.all([containersOf(box), networksOf(box.docker)]);
  const docker = { state: "answers" } as const;
  if (!containers?.length) return { docker, networks, containers, clientModel, host };

  const endpoint = await reachEndpoint(config, box.endpoint);
  const running = containers.filter(({ role, state }) => role === "gateway" && state === "running");
  const gateways = running.map(({ name }) => name);
  const ownKey = config.gateway.auth === "key" ? secrets.masterKey : undefined;
  const [ports, valves, edge, postgres, logs, listed, theirs, databaseSeen] = await Promise.all([
    portsOf(box, config),
    valvesOf(box),
    edgeOf(box),
    postgresSays(box),
    lately(box, gateways, since),
    ask(endpoint, ownKey),
    clientKey === undefined ? undefined : ask(endpoint, clientKey),
    readiness(endpoint),
  ]);
  const serving = edge?.gateways.find(({ state }) => state === "serving")?.gateway ?? gateways[0];
  const look = serving ? await gatewayLook(box, projectDir, serving) : {};
  return {
    ...{
      docker,
      networks,
      containers,
      ports,
      valves,
      edge,
      postgres,
      listed,
      databaseSeen,
      clientModel,
      host,
    },
    ...logs,
    ...look,
    clientKey: theirs,
  };
}

/** Why a host behind SSH cannot be looked at. */
function reachHost(projectDir: string, config: StackConfig): Facts["host"]["unreachable"] {
  try {
    connectHost(projectDir, config);
    return undefined;
  } catch (error) {
    if (error instanceof UserError) return { what: error.what, fix: error.fix };
    throw error;
  }
}

async function remoteFacts(projectDir: string, config: StackConfig): Promise<RemoteFacts | "here"> {
  if (!sshAddress(config.host.docker)) return "here";
  const state = await readHost(config);
  const before = Date.now();
  const clock = Number((await hostShell(config, "date +%s")).stdout);
  // Halfway between question and answer, as NTP has it.
  const asked = (before + Date.now()) / 2 / 1000;
  const firewall = firewallInput(projectDir, config.stack, config);
  const { steps } = planHost(state, { dataDir: config.host.dataDir, firewall });
  return {
    state,
    steps: steps.map(({ does }) => does),
    aheadSeconds: Math.round(clock - asked),
    declaredArch: config.host.arch,
  };
}

/** Rules that this machine lacks; undefined where only root may say so. */
async function missingRules(projectDir: string, config: StackConfig): Promise<string[] | undefined> {
  const state = await readHost(config);
  const firewall = firewallInput(projectDir, config.stack, config);
  const step = firewallStep(state, firewall);
  if (!step && rulesHidden(state)) return undefined;
  return step ? [step.does] : [];
}

async function ask(endpoint: string, key: string | undefined): Promise<Answer> {
  try {
    const headers: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(`${endpoint}/v1/models/${PROBE}`, { headers, redirect: "manual", signal });
    await answer.body?.cancel();
    return { status: answer.status };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

async function readiness(endpoint: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`${endpoint}/health/readiness`, { signal: AbortSignal.timeout(ANSWER_MS) });
    const body = (await answer.json()) as { db?: unknown };
    return typeof body.db === "string" ? body.db : undefined;
  } catch {
    return undefined;
  }
}

/** Who holds the box's ports. */
async function portsOf(box: BoxPlan, config: StackConfig): Promise<PortFacts[]> {
  return Promise.all(
    box.edge.container.ports.map(async ({ bind, port }) => {
      const key = `gpubox:gateway.${port === config.gateway.port ? "port" : "adminPort"}`;
      // It throws for an address that this machine does not have.
      const holder = await holderOf({ bind, port, key }, box.docker).catch(() => "no address" as const);
      if (holder === "no address") return { bind, port, key, holder };
      if (holder === "free" || holder === "unknown") return { bind, port, key, holder: "free" };
      if ("process" in holder) return { bind, port, key, holder: holder.process };
      const own = holder.stack === box.stack;
      return { bind, port, key, holder: own ? "this box" : `the container ${holder.container}` };
    }),
  );
}

async function hostFacts(
  { host }: StackConfig,
  docker: string,
  engine: { dataRoot: string; memoryBytes: number } | undefined,
): Promise<Facts["host"]> {
  const folders = [...(engine ? [engine.dataRoot] : []), host.dataDir];
  const free = engine && (await freeMemory(docker));
  const declared = host.gpus
    .filter(({ vendor }) => vendor === "nvidia")
    .map(({ id, memoryGiB }) => ({ id: String(id), memoryMiB: Math.round(memoryGiB * 1024) }));
  return {
    disks: await disks(docker, folders).catch(() => undefined),
    memory:
      engine && free !== undefined ? { totalBytes: engine.memoryBytes, availableBytes: free } : undefined,
    gpus: declared.length > 0 ? { declared, found: await nvidiaDevices(docker) } : undefined,
  };
}

/** One call for both: a driver that is lost may take its time for each. */
const GPU_SCRIPT =
  "nvidia-smi -L && echo -- && nvidia-smi --query-gpu=index,uuid,memory.total --format=csv,noheader,nounits";

async function nvidiaDevices(docker: string): Promise<FoundGpus | { failed: string }> {
  try {
    const [list = "", table = ""] = (await onHost(docker, GPU_SCRIPT)).split(/^--$/m);
    const ids = [...list.matchAll(/^GPU (\d+):|UUID: ((?:GPU|MIG)-[0-9A-Za-z/-]+)/gm)].map(
      ([, index, uuid]) => index ?? uuid!,
    );
    // A device that shares the host's memory says [N/A].
    const sizes = [...table.matchAll(/^(\d+), (\S+), (\d+)$/gm)].flatMap(([, index, uuid, mib]) => [
      [index!, Number(mib)],
      [uuid!, Number(mib)],
    ]);
    return { ids, memoryMiB: Object.fromEntries(sizes) };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

import { z } from "zod";
import type { BoxPlan } from "../../configs/kit/types";
import { PROBE } from "../../configs/network/endpoint";
import { sshAddress } from "../../configs/schema/address";
import type { StackConfig } from "../../configs/stack/config";
import { type DockerEngine, findDocker } from "../../platform/docker/engine";
import { disks, freeMemory, holderOf, runOnHost } from "../../platform/machine";
import { UserError } from "../../platform/process";
import { connectHost } from "../../platform/ssh/connection";
import { reachEndpoint } from "../../platform/ssh/reach";
import { hostShell } from "../../platform/ssh/shell";
import type { Secrets } from "../../platform/stack/secrets";
import { within } from "../../platform/within";
import { boxesScript } from "../host/boxes";
import { firewallStep, rulesHidden } from "../host/firewall";
import { firewallInput } from "../host/firewallInput";
import { planHost } from "../host/planHost";
import { readHost } from "../host/prepare";
import { collectContainers, collectNetworks } from "./collectContainers";
import { readRecentLogs } from "./collectRequests";
import { edgeOf, gatewayConnections, postgresReadiness, valvesOf } from "./collectServices";
import { ANSWER_SECONDS } from "./containerHealth";
import type { Answer, ContainerFacts, Facts, FoundGpus, PortFacts, RemoteFacts } from "./facts";
import { memoryKills } from "./memoryKills";
import { probed } from "./probes";
import { standingOf } from "./standing";
import { HOST_MS, withTimeout } from "./timeLimits";

/** Timeout in milliseconds for a request to the box. Without a gateway the edge would hold it for a minute. */
const ANSWER_MS = ANSWER_SECONDS * 1_000;

/** Timeouts in milliseconds for an engine on this machine, and for one behind SSH. */
const ENGINE_MS = { here: 8_000, away: 30_000 };

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

/** Collects everything that the doctor's rows check. Changes nothing, and leaves out what it cannot read. */
export async function collect(options: CollectOptions): Promise<Facts> {
  const { box, config, secrets, since, clientKey, clientModel, projectDir } = options;
  const unreachable = reachHost(projectDir, config);
  if (unreachable)
    return { docker: { state: "silent", reason: "see ssh" }, clientModel, host: { unreachable } };
  const found = await findDocker(box.docker, ENGINE_MS[sshAddress(config.host.docker) ? "away" : "here"]);
  const looked = lookAtHost(projectDir, config, box, found.state === "answers" ? found.engine : undefined);
  if (found.state !== "answers") return { docker: found, clientModel, host: await looked };

  const endpoint = await reachEndpoint(config, box.endpoint);
  const ownKey = config.gateway.auth === "key" ? secrets.masterKey : undefined;
  // Before any command runs in a container, because that would count as the container's own load.
  const [containers, networks, ports, host, listed, theirs, databaseSeen] = await Promise.all([
    collectContainers(box, memoryKills(box)),
    collectNetworks(box),
    portsOf(box, config),
    looked,
    ask(endpoint, ownKey),
    clientKey === undefined ? undefined : ask(endpoint, clientKey),
    readiness(endpoint),
  ]);
  if (!containers)
    return {
      docker: { state: "silent", reason: "it does not say what its containers are like" },
      clientModel,
      host,
    };
  const docker = { state: "answers" } as const;
  if (containers.length === 0) return { docker, networks, containers, clientModel, host };

  const running = containers.filter(({ role, state }) => role === "gateway" && state === "running");
  // An old generation that is about to end says little about connections.
  const isOld = ({ generation }: ContainerFacts) => Number(generation !== box.gateway.generation);
  const gateways = running.sort((one, other) => isOld(one) - isOld(other)).map(({ name }) => name);
  const [asked, valves, edge, postgres, logs, look] = await Promise.all([
    probed(box, containers),
    valvesOf(box),
    edgeOf(box),
    postgresReadiness(box),
    readRecentLogs(box, gateways, since),
    gatewayConnections(box, gateways),
  ]);
  return {
    ...{ docker, networks, containers: asked, ports, valves, edge, postgres, listed, databaseSeen },
    ...{ clientModel, host, clientKey: theirs },
    ...logs,
    ...look,
  };
}

async function lookAtHost(
  projectDir: string,
  config: StackConfig,
  box: BoxPlan,
  engine: DockerEngine | undefined,
): Promise<Facts["host"]> {
  const [facts, standing, remote, firewall] = await Promise.all([
    hostFacts(config, box, engine),
    standingOf(config, engine),
    remoteFacts(projectDir, config),
    // The missing rules of a remote host are among its preparation steps.
    sshAddress(config.host.docker) ? undefined : missingRules(projectDir, config),
  ]);
  return { ...facts, ...standing, remote, firewall };
}

/** Connects to a host behind SSH. Returns why it cannot. */
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
  // The time halfway between question and answer, as in NTP.
  const asked = (before + Date.now()) / 2 / 1000;
  const firewall = firewallInput(projectDir, config.stack, config);
  const { steps } = planHost(state, {
    dataDir: config.host.dataDir,
    firewall,
    boxes: boxesScript(),
  });
  return {
    state,
    steps: steps.map(({ does }) => does),
    aheadSeconds: Math.round(clock - asked),
    declaredArch: config.host.arch,
  };
}

/** Firewall rules that this machine lacks; undefined where only root can read them. */
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
    return { status: (await get(`${endpoint}/v1/models/${PROBE}`, headers)).status };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

async function readiness(endpoint: string): Promise<string | undefined> {
  try {
    const { text } = await get(`${endpoint}/health/readiness`);
    return z.object({ db: z.string() }).parse(JSON.parse(text)).db;
  } catch {
    return undefined;
  }
}

async function get(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const answer = await within(ANSWER_MS, (signal) => fetch(url, { headers, redirect: "manual", signal }));
  return { status: answer.status, text: await answer.text() };
}

/** Who uses the box's ports. */
async function portsOf(box: BoxPlan, config: StackConfig): Promise<PortFacts[]> {
  return Promise.all(
    box.edge.container.ports.map(async ({ bind, port }) => {
      const key = `gpubox:gateway.${port === config.gateway.port ? "port" : "adminPort"}`;
      // `holderOf` throws for an address that this machine does not have.
      const found = withTimeout(HOST_MS, holderOf({ bind, port, key }, box.docker));
      const holder = (await found.catch(() => "no address" as const)) ?? "unknown";
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
  { docker, database }: BoxPlan,
  engine: { dataRoot: string; memoryBytes: number } | undefined,
): Promise<Facts["host"]> {
  // Somebody may have made it on a disk of its own; else it goes without saying.
  const volume = engine && database?.volume && `${engine.dataRoot}/volumes/${database.volume.name}/_data`;
  const folders = [...(engine ? [engine.dataRoot] : []), host.dataDir, ...(volume ? [volume] : [])];
  const declared = host.gpus
    .filter(({ vendor }) => vendor === "nvidia")
    .map(({ id, memoryGiB }) => ({ id: String(id), memoryMiB: Math.round(memoryGiB * 1024) }));
  const late = { failed: `no answer within ${HOST_MS / 1000} s` };
  const [space, free, found] = await Promise.all([
    withTimeout(
      HOST_MS,
      disks(docker, folders).catch(() => undefined),
    ),
    engine && withTimeout(HOST_MS, freeMemory(docker)),
    declared.length > 0 ? withTimeout(HOST_MS, nvidiaDevices(docker)) : undefined,
  ]);
  return {
    disks: space?.map(({ folders: [first, ...others], ...left }) => ({
      ...left,
      folders: [first!, ...others.filter((folder) => folder !== volume)],
    })),
    memory:
      engine && free !== undefined ? { totalBytes: engine.memoryBytes, availableBytes: free } : undefined,
    gpus: declared.length > 0 ? { declared, found: found ?? late } : undefined,
  };
}

/** One call for both, because a lost driver may block in each. */
const GPU_SCRIPT =
  "nvidia-smi -L && echo -- && nvidia-smi --query-gpu=index,uuid,memory.total --format=csv,noheader,nounits";

async function nvidiaDevices(docker: string): Promise<FoundGpus | { failed: string }> {
  try {
    const [list = "", table = ""] = (await runOnHost(docker, GPU_SCRIPT)).split(/^--$/m);
    const ids = [...list.matchAll(/^GPU (\d+):|UUID: ((?:GPU|MIG)-[0-9A-Za-z/-]+)/gm)].map(
      ([, index, uuid]) => index ?? uuid!,
    );
    // A device that shares the host's memory prints [N/A].
    const sizes = [...table.matchAll(/^(\d+), (\S+), (\d+)$/gm)].flatMap(([, index, uuid, mib]) => [
      [index!, Number(mib)],
      [uuid!, Number(mib)],
    ]);
    return { ids, memoryMiB: Object.fromEntries(sizes) };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

import { reservedBytes, totalBytes } from "../capacity/device";
import { planStackGpus } from "../capacity/stack";
import type { EngineContainer } from "../engines/engine";
import type { StepPlan } from "../kit/containerPlan";
import type { BoxPlan, GroupPlan } from "../kit/types";
import { endpointOf } from "../network/endpoint";
import { engineAddress } from "../network/engine";
import { policyFindings, refuseFindings } from "../policy/plan";
import type { GpuConfig } from "../schema/gpu";
import { namesOf } from "../stack/instances";
import { leftOut, withoutLeftOut } from "../stack/optionalModels";
import { adminPort } from "../stack/ports";
import { planBackup } from "./backup";
import { planCache } from "./cache";
import { planCertificates } from "./certificates";
import { clusterConfig, planCluster } from "./cluster";
import { type BackendSpec, imageOf, type PlanContext, type PlanInput } from "./context";
import { planDatabase } from "./database";
import { planDeviceLockFiles, startDeadlines } from "./deviceLock";
import { planEdge } from "./edge";
import { planGateway } from "./gateway";
import { planGroups } from "./groups";
import { planBackend, planModel } from "./model";
import { planNetworks } from "./networks";
import { planNotes } from "./notes";
import { planObservability } from "./observability";
import { ownerOf, planOwner } from "./owner";
import { replacementsOf } from "./replacement";
import { planSlot, type SlotSpec, slotSpecs } from "./slots";
import { planSpace } from "./space";
import { planWorker, workerSpec } from "./workers";

export { fetchSteps, modelServers, servicesOf } from "../kit/services";

/**
 * Turns a checked stack config into everything that a box is made of. Pure: the same input gives the same plan.
 * @throws ConfigError with what the policies refuse
 */
export function planBox(input: PlanInput): BoxPlan {
  const context = planContext(input);
  const { config } = context;
  const models = Object.entries(config.models).map(([name, model]) => planModel(context, name, model));
  const backends = models.flatMap(({ backends }) => backends);
  const alone = backends.filter(({ slot }) => !slot);
  const slots = slotSpecs(backends);
  const ranks = Object.keys(config.workers).map((name) => workerSpec(context, name));
  const deadlines = deadlinesOf([...alone, ...ranks], slots);
  const slotPlans = slots.map((slot) => planSlot(context, slot, deadlines[slotKey(slot)]!));
  const groups = planGroups(context, backends);
  const onDemand = backends.filter(({ slot, group }) => slot ?? group);
  const devices = config.host.gpus.map((gpu) => ({
    device: String(gpu.id),
    mib: Math.floor((totalBytes(gpu) - reservedBytes(gpu)) / 1024 ** 2) - ofGroups(groups, gpu.id),
  }));
  const replaced = replacementsOf(context, [...backends, ...ranks], slotPlans, devices);
  const changing = {
    backends: alone.map((backend) =>
      planBackend(context, backend, deadlines[backend.instance]!, replaced[backend.instance]!),
    ),
    workers: ranks.map((one) => planWorker(context, one, deadlines[one.instance]!)),
    slots: slotPlans,
    groups,
    gateway: planGateway(
      context,
      models.flatMap(({ routed }) => routed),
      // A proof loads them one after another.
      sumOf(onDemand.map(({ engine }) => engine.readySeconds)),
    ),
    edge: planEdge(context),
  };
  const parts: Omit<BoxPlan, "policy" | "space"> = {
    stack: config.stack,
    prefix: context.prefix,
    docker: engineAddress(config),
    dataDir: context.dataDir,
    networks: planNetworks(config),
    owner: planOwner(imageOf(context, "edge"), context.dataDir, ownerOf(config.stack, input.saltFingerprint)),
    cache: planCache(context),
    database: planDatabase(context),
    backup: planBackup(context),
    deviceLocks: planLocks(context, [...backends, ...ranks]),
    ...changing,
    certificates: planCertificates(context),
    observability: planObservability(context, backends, changing),
    devices,
    endpoint: endpointOf(config),
    adminEndpoint: `http://127.0.0.1:${adminPort(config)}`,
    models: Object.entries(config.models).flatMap(([name, model]) => namesOf(name, model)),
    notes: planNotes(context, leftOut(input.config, input.secrets)),
    ...(context.target === "kubernetes" ? { cluster: planCluster(context, alone, changing.edge) } : {}),
  };
  const plan = { ...parts, space: planSpace(parts) };
  const policy = policyFindings({ config, plan, resolved: input.resolved, lock: input.lock ?? {} });
  refuseFindings(config.stack, policy);
  return { ...plan, policy };
}

/** The input that all parts of a plan share. */
export function planContext(input: PlanInput): PlanContext {
  const served = withoutLeftOut(input.config, input.secrets);
  const target = input.config.target === "kubernetes" ? "kubernetes" : input.target;
  const config = target === "kubernetes" ? clusterConfig(served) : served;
  return {
    ...input,
    target,
    config,
    prefix: `gpubox-${config.stack}`,
    dataDir: config.host.dataDir,
    gpus: planStackGpus(config, input.lock ?? {}),
  };
}

/** Instance to its deadline in seconds when all start at once. Slots count too, since a request may load a model at any time. */
function deadlinesOf(backends: BackendSpec[], slots: SlotSpec[]): Record<string, number> {
  const starter = (name: string, engines: EngineContainer[]) => ({
    name,
    devices: engines[0]?.gpu?.ids ?? [],
    readySeconds: Math.max(...engines.map(({ readySeconds }) => readySeconds)),
  });
  return startDeadlines([
    ...backends.map(({ instance, engine }) => starter(instance, [engine])),
    ...slots.map((slot) =>
      starter(
        slotKey(slot),
        slot.members.map(({ engine }) => engine),
      ),
    ),
  ]);
}

/** No instance has a name with a space. */
function slotKey({ name }: SlotSpec): string {
  return `slot ${name}`;
}

/** MiB of a device that groups keep, whatever they have loaded. */
function ofGroups(groups: GroupPlan[], id: GpuConfig["id"]): number {
  return sumOf(
    groups.flatMap(({ budget }) => budget.flatMap(({ device, mib }) => (device === String(id) ? mib : []))),
  );
}

function sumOf(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function planLocks(context: PlanContext, backends: BackendSpec[]): StepPlan | undefined {
  const devices = new Set(backends.flatMap(({ engine }) => engine.gpu?.ids ?? []));
  return devices.size > 0
    ? planDeviceLockFiles(imageOf(context, "edge"), context.dataDir, [...devices])
    : undefined;
}

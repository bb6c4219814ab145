import type { ContainerPlan, ServicePlan } from "../kit/containerPlan";
import { size } from "../kit/sizes";
import { drainSeconds } from "../kit/steps";
import type { BackendPlan, BoxPlan, GroupPlan, SlotPlan, WorkerPlan } from "../kit/types";
import { DRAIN_SECONDS } from "./llamaSwap";

/** A time during which a part of the box does not answer, because its container is replaced in place. */
export interface Interruption {
  /** The replaced container. */
  container: string;
  /** Public names whose requests wait or fail; `all` for the edge; none when other instances take the requests. */
  models: string[] | "all";
  /** What clients notice, as a sentence. */
  notice: string;
  /** True where nobody notices it: another server takes the requests meanwhile. */
  unnoticed?: true;
  /** Usual duration in seconds; undefined when nothing is known to estimate it from. */
  aboutSeconds?: number;
  /** Seconds after which `up` gives up on it. */
  mostSeconds: number;
  /** How both numbers were derived. */
  source: string;
}

/** Instance to the bytes of weights that its server reads; undefined where no lock says it. */
export type WeightsOf = (instance: string) => number | undefined;

/** Seconds from the stop of a small server to the healthy answer of the next one, beyond its grace; measured 2 to 4. */
const START_SECONDS = 5;

/** The same for a model server without its weights: the start of its engine. */
const ENGINE_SECONDS = 10;

/** Bytes a second that weights are read with: between a hard disk's 150 MB and an NVMe disk's 3 GB. */
const READ_RATE = 1_000_000_000;

/**
 * The interruptions that a change causes. Every other change is a new generation, a reload or a new container, which clients do
 * not notice.
 *
 * @param replaced names of the containers that the change replaces
 */
export function interruptionsOf(
  plan: BoxPlan,
  replaced: ReadonlySet<string>,
  weights: WeightsOf = () => undefined,
): Interruption[] {
  const isReplaced = ({ container }: ServicePlan) => replaced.has(container.name);
  return [
    ...(isReplaced(plan.edge) ? [edgeGap(plan.edge.container)] : []),
    ...[plan.cache, plan.database].flatMap((store) => (store && isReplaced(store) ? [storeGap(store)] : [])),
    ...plan.backends.flatMap((backend) => [
      ...(isReplaced(backend.valve) ? [valveGap(backend.model, backend.valve)] : []),
      ...(isReplaced(backend.service) ? [backendGap(plan, backend, isReplaced, weights)] : []),
    ]),
    ...plan.workers.flatMap((worker) => (isReplaced(worker.service) ? [workerGap(worker)] : [])),
    ...plan.slots.flatMap((slot) => [
      ...slot.members.flatMap(({ model, valve }) => (isReplaced(valve) ? [valveGap(model, valve)] : [])),
      ...(isReplaced(slot.service) ? [slotGap(slot)] : []),
    ]),
    ...plan.groups.flatMap((group) => (isReplaced(group.service) ? [groupGap(group)] : [])),
  ];
}

function edgeGap(container: ContainerPlan): Interruption {
  const grace = container.stopGraceSeconds;
  return {
    ...timesOf(
      container,
      grace + START_SECONDS,
      `its grace of ${grace} s and ${START_SECONDS} s for its start`,
    ),
    models: "all",
    notice:
      `The edge is replaced: for about ${grace + START_SECONDS} s nobody gets in, and streams that last longer than ` +
      `${grace} s are cut.`,
  };
}

function storeGap({ container }: ServicePlan): Interruption {
  const notice =
    container.name === "cache"
      ? "Redis is replaced in place: cached answers and the counters of limits begin anew. Models answer meanwhile."
      : "Postgres is replaced in place: until it answers again, keys that a gateway does not remember are refused and spend waits.";
  return { ...timesOf(container, START_SECONDS, `${START_SECONDS} s for its start`), models: [], notice };
}

function valveGap(model: string, { container }: ServicePlan): Interruption {
  const grace = container.stopGraceSeconds;
  return {
    ...timesOf(container, START_SECONDS, `${START_SECONDS} s for its start, after what runs has ended`),
    models: [model],
    notice:
      `The valve of ${model} is replaced in place: its new requests fail until the new one listens, which waits up to ` +
      `${grace} s for what runs; longer streams are cut. Other models notice nothing.`,
  };
}

function backendGap(
  plan: BoxPlan,
  { model, instance, service, holdSeconds, start, replacement }: BackendPlan,
  isReplaced: (service: ServicePlan) => boolean,
  weights: WeightsOf,
): Interruption {
  const { container } = service;
  const bytes = weights(instance);
  const about = bytes === undefined ? undefined : ENGINE_SECONDS + Math.ceil(bytes / READ_RATE);
  const others = plan.backends.some(
    (other) => other.model === model && other.start === "auto" && !isReplaced(other.service),
  );
  const source =
    bytes === undefined
      ? "no estimate, because the size of its weights is not locked"
      : `${ENGINE_SECONDS} s for stop and start${bytes > 0 ? `, and ${size(bytes)} of weights at ${READ_RATE / 1e9} GB/s` : ""}`;
  const who = others
    ? "the model's other instances take its requests."
    : start === "manual"
      ? "it is started by hand, and starts again by itself only where it ran."
      : `its requests wait ${holdSeconds} s and then get a 503. Other models notice nothing.`;
  const times = timesOf(container, about, source, drainSeconds(container));
  const tried = service.standIn?.canarySeconds;
  if (replacement.kind === "start-first")
    return {
      ...times,
      models: [],
      unnoticed: true,
      notice: `The backend of ${instance} is replaced start-first, because ${replacement.why}: a new one loads beside it, is proven, ${tried === undefined ? "" : `gets a share of the requests for ${tried} s as a canary, `}and takes over. Nobody waits.`,
    };
  return {
    ...times,
    models: others ? [] : [model],
    notice:
      start === "ondemand"
        ? `The backend of ${instance} is replaced in place: it is unloaded, and the next request loads it again. Other models notice nothing.`
        : `The backend of ${instance} is replaced in place, because ${replacement.why}: until the new one has loaded, for at most ${container.readySeconds} s, ${who}`,
  };
}

/** The model's own stack says for how long; it is not among this one's models. */
function workerGap({ model, stack, rank, service }: WorkerPlan): Interruption {
  return {
    ...timesOf(service.container, START_SECONDS, `${START_SECONDS} s until it waits for the other hosts`),
    models: [],
    notice:
      `Rank ${rank} of ${model}, which the stack ${stack} serves, is replaced in place: the engines of all its hosts stop, and ` +
      `load again when all are there. \`gpubox up --stack ${stack}\` lets its requests end first, and changes every host.`,
  };
}

function slotGap({ name, service, members }: SlotPlan): Interruption {
  const models = members.map(({ model }) => model);
  return {
    ...timesOf(
      service.container,
      START_SECONDS,
      `${START_SECONDS} s for its start; what was loaded is loaded again at a request`,
      drainSeconds(service.container),
    ),
    models,
    notice:
      `The slot ${name} is replaced in place: what it has loaded is unloaded, and what still runs after ` +
      `${DRAIN_SECONDS} s is cut. Requests to ${models.join(", ")} wait for it, and load their model again.`,
  };
}

function groupGap({ name, service, models }: GroupPlan): Interruption {
  const { container } = service;
  return {
    ...timesOf(container, START_SECONDS, `${START_SECONDS} s for its start, after what runs has ended`),
    models,
    notice:
      `The scheduler of the group ${name} is replaced in place: what still runs after ${container.stopGraceSeconds} s is cut, and ` +
      `requests to ${models.join(", ")} wait for the new one. What is loaded stays loaded.`,
  };
}

function timesOf(
  { name, stopGraceSeconds, readySeconds }: ContainerPlan,
  aboutSeconds: number | undefined,
  source: string,
  drain = 0,
): Pick<Interruption, "container" | "aboutSeconds" | "mostSeconds" | "source"> {
  return {
    container: name,
    ...(aboutSeconds === undefined ? {} : { aboutSeconds }),
    mostSeconds: drain + stopGraceSeconds + readySeconds,
    source: `${source}; at most ${drain > 0 ? `${drain} s for what runs, ` : ""}${stopGraceSeconds} s to stop and ${readySeconds} s to be ready`,
  };
}

import type { ServicePlan, WritableDirectoryPlan } from "../../configs/kit/containerPlan";
import type { DirectoryPlan } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { servicesOf } from "../../configs/plan/box";
import { pairs } from "./containers";
import { type DeployedResource, deployedContainers, isUnchanged, readyOf, switchOf } from "./deployed";
import type { Difference, DriftReport, Repair } from "./difference";
import type { DriftFacts } from "./facts";

/** What `up` repairs before Pulumi runs, and what Pulumi must replace. */
export interface Repairs {
  /** A sentence for each repair. */
  said: string[];
  /** Ids of paused containers. */
  unpause: string[];
  /** Process limits, by container id. */
  limits: { container: string; processes: number }[];
  /** Ids of containers that have a name of the box's containers. */
  remove: string[];
  networks: string[];
  /** Paths to remove before their directory is written. */
  clear: string[];
  write: DirectoryPlan[];
  make: WritableDirectoryPlan[];
  /** URNs of resources. */
  replace: string[];
}

/**
 * Plans the repair of differences that a refresh does not repair. Skips a part of the box whose plan changed since the
 * last `up`: Pulumi replaces it, and in the right order.
 *
 * @param state resources of the stack
 */
export function planRepairs(
  box: BoxPlan,
  facts: DriftFacts,
  report: DriftReport,
  state: DeployedResource[],
): Repairs {
  const each = report.differences.flatMap((difference): Partial<Repairs>[] => {
    const { repair, what } = difference;
    if (!repair) return [];
    const owners = ownersOf(difference, box, facts).filter((service) => isUnchanged(service, box, state));
    const done = repairOf(repair, owners, { box, facts, state });
    return done ? [{ ...done, said: [what] }] : [];
  });
  const all = <K extends keyof Repairs>(key: K) =>
    [
      ...new Set<unknown>(each.flatMap((one) => one[key] as unknown[] | undefined).filter(Boolean)),
    ] as Repairs[K];
  return {
    said: all("said"),
    unpause: all("unpause"),
    limits: all("limits"),
    remove: all("remove"),
    networks: all("networks"),
    clear: all("clear"),
    write: all("write"),
    make: all("make"),
    replace: all("replace"),
  };
}

interface Known {
  box: BoxPlan;
  facts: DriftFacts;
  state: DeployedResource[];
}

/** Nothing when another part of `up` repairs it, or when the plan has changed. */
function repairOf(repair: Repair, owners: ServicePlan[], known: Known): Partial<Repairs> | undefined {
  const { box, state } = known;
  switch (repair.do) {
    case "unpause":
      return { unpause: [repair.container] };
    case "limit":
      return { limits: [{ container: repair.container, processes: repair.processes }] };
    case "remove container":
      // `up` removes orphans with the stack's label before this step.
      return labelled(repair.container, known) ? undefined : { remove: [repair.container] };
    case "remove network": {
      const role = box.networks.find(({ name }) => name === repair.network)?.role;
      const members = servicesOf(box).filter(({ container }) => role && container.networks[role]);
      return { networks: [repair.network], replace: members.flatMap((service) => urnsOf(service, known)) };
    }
    case "switch": {
      const step = isUnchanged(box.gateway, box, state) ? switchOf(state) : undefined;
      return step && { replace: [step.urn] };
    }
    case "replace":
      return owners[0] && { replace: owners.flatMap((service) => urnsOf(service, known)) };
    case "write": {
      if (!owners[0]) return undefined;
      const { path } = owners[0].directory;
      // The container would still see the old directory.
      const whole = repair.paths.includes(path);
      return {
        clear: repair.paths.filter((one) => one !== path),
        write: [owners[0].directory],
        replace: repair.reread ? owners.flatMap((service) => rereads(service, whole, known)) : [],
      };
    }
    case "make": {
      const plan = owners.flatMap(({ writable }) => writable).find(({ path }) => path === repair.directory);
      if (!plan) return undefined;
      return {
        make: [plan],
        replace: repair.reread ? owners.flatMap((service) => urnsOf(service, known)) : [],
      };
    }
  }
}

/** The planned services that a difference concerns. */
function ownersOf({ subject, repair }: Difference, box: BoxPlan, facts: DriftFacts): ServicePlan[] {
  const named = new Set(
    pairs(box, facts)
      .filter(({ name }) => name === subject)
      .map(({ service }) => service),
  );
  const path = repair && "directory" in repair ? repair.directory : undefined;
  return servicesOf(box).filter(
    (service) =>
      named.has(service) || [service.directory, ...service.writable].some((one) => one.path === path),
  );
}

/** Container states that a refresh keeps. Paused containers are unpaused by then. */
const THERE = ["running", "paused", "restarting"];

/** URNs of a service's containers. A refresh replaces stopped ones anyway. */
function urnsOf(service: ServicePlan, { box, facts, state }: Known): string[] {
  const rests = (id?: string) => {
    const found = facts.containers.find((one) => one.id === id);
    return !found || (!THERE.includes(found.state) && service.container.started);
  };
  return deployedContainers(service, box, state)
    .filter(({ id }) => !rests(id))
    .map(({ urn }) => urn);
}

/** Makes a service read its files again: by a reload if it can, or with a new container. */
function rereads(service: ServicePlan, whole: boolean, known: Known): string[] {
  const [container] = deployedContainers(service, known.box, known.state);
  const ready = container && readyOf(container, known.state);
  return service.reloads && ready && !whole ? [ready.urn] : urnsOf(service, known);
}

function labelled(id: string, { box, facts }: Known): boolean {
  return facts.containers.some((one) => one.id === id && one.settings.labels["gpubox.stack"] === box.stack);
}

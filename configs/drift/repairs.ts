import { servicesOf } from "../plan/box";
import type { BoxPlan, DirectoryPlan, ServicePlan, WritableDirectoryPlan } from "../plan/types";
import { pairs } from "./containers";
import { containersOf, type Deployed, isUnchanged, readyOf, switchOf } from "./deployed";
import type { DriftReport } from "./difference";
import type { DriftFacts } from "./facts";

/** What `up` does before Pulumi converges, and what Pulumi is told to make anew. */
export interface Repairs {
  /** Sentences of what is repaired. */
  said: string[];
  /** Ids of paused containers. */
  unpause: string[];
  /** Ids of containers that have the place of one of the box's. */
  remove: string[];
  networks: string[];
  /** Paths that have to go before their directory is written. */
  clear: string[];
  write: DirectoryPlan[];
  make: WritableDirectoryPlan[];
  /** URNs of resources. */
  replace: string[];
}

/**
 * How the differences between a host and its plan are put right, as far as a refresh does not. A part of the box whose plan
 * has changed since the last `up` is left alone: Pulumi makes it anew, and in the right order.
 *
 * @param state resources of the stack
 */
export function planRepairs(
  box: BoxPlan,
  facts: DriftFacts,
  report: DriftReport,
  state: Deployed[],
): Repairs {
  const repairs: Repairs = {
    ...{ said: [], unpause: [], remove: [], networks: [], clear: [], write: [], make: [], replace: [] },
  };
  const services = servicesOf(box);
  const found = pairs(box, facts);
  const runningIds = new Set(facts.containers.filter(({ state }) => state === "running").map(({ id }) => id));
  const replaced = new Set<string>();
  /** Of a container that does not run, a refresh makes another anyway. */
  const replaceAll = (service: ServicePlan) => {
    for (const { id, urn } of containersOf(service, box, state))
      if (id && (runningIds.has(id) || !service.container.started) && present(facts, id)) replaced.add(urn);
  };
  const reread = (service: ServicePlan, whole: boolean) => {
    const [container] = containersOf(service, box, state);
    const ready = container && readyOf(container, state);
    // A directory that was made anew is not the one that the container sees.
    if (service.reloads && ready && !whole) replaced.add(ready.urn);
    else replaceAll(service);
  };
  for (const { what, kind, subject, repair } of report.differences) {
    if (!repair) continue;
    const owners = services.filter(
      (service) =>
        found.some(({ service: own, name }) => own === service && name === subject) ||
        ("directory" in repair &&
          [service.directory, ...service.writable].some(({ path }) => path === repair.directory)),
    );
    const unchanged = owners.filter((service) => isUnchanged(service, box, state));
    if (repair.do === "unpause") repairs.unpause.push(repair.container);
    else if (repair.do === "remove container") {
      // Of strangers the orphans have been removed already, and the rest are a person's.
      if (kind !== "container" || state.some(({ id }) => id === repair.container)) continue;
      repairs.remove.push(repair.container);
    } else if (repair.do === "remove network") {
      repairs.networks.push(repair.network);
      const role = box.networks.find(({ name }) => name === repair.network)?.role;
      for (const service of services) if (role && service.container.networks[role]) replaceAll(service);
    } else if (repair.do === "switch") {
      const step = switchOf(state);
      if (!step || !isUnchanged(box.gateway, box, state)) continue;
      replaced.add(step.urn);
    } else {
      if (unchanged.length === 0) continue;
      if (repair.do === "replace") for (const service of unchanged) replaceAll(service);
      if (repair.do === "write") {
        const [{ directory }] = unchanged as [ServicePlan];
        if (!repairs.write.includes(directory)) repairs.write.push(directory);
        const whole = repair.paths.includes(directory.path);
        repairs.clear.push(...repair.paths.filter((path) => path !== directory.path));
        if (repair.reread) for (const service of unchanged) reread(service, whole);
      }
      if (repair.do === "make") {
        const plans = unchanged.flatMap(({ writable }) => writable);
        repairs.make.push(...plans.filter(({ path }) => path === repair.directory).slice(0, 1));
        if (repair.reread) for (const service of unchanged) replaceAll(service);
      }
    }
    repairs.said.push(what);
  }
  return { ...repairs, replace: [...replaced] };
}

function present({ containers }: DriftFacts, id: string): boolean {
  return containers.some((one) => one.id === id);
}

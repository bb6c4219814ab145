import type { ServicePlan } from "../../configs/kit/containerPlan";
import type { BoxPlan } from "../../configs/kit/types";

/** The part of a resource in the state that repairs need. */
export interface DeployedResource {
  urn: string;
  type: string;
  id?: string;
  inputs?: Record<string, unknown>;
}

const CONTAINER = "docker:index/container:Container";

/** The containers of a service in the state. */
export function deployedContainers(
  service: ServicePlan,
  box: BoxPlan,
  state: DeployedResource[],
): DeployedResource[] {
  const all = state.filter(({ type }) => type === CONTAINER);
  if (service === box.gateway)
    return all.filter((one) => labelOf(one, "gpubox.role") === service.container.name);
  return all.filter(({ inputs }) => inputs?.name === `${box.prefix}-${service.container.name}`);
}

/** True when the plan of the service has not changed since the last `up`: any difference was made on the host. */
export function isUnchanged(service: ServicePlan, box: BoxPlan, state: DeployedResource[]): boolean {
  const containers = deployedContainers(service, box, state);
  const spec = service.container.labels["gpubox.spec"];
  if (containers.length === 0 || containers.some((one) => labelOf(one, "gpubox.spec") !== spec)) return false;
  if (!service.reloads && !service.gate) return true;
  const triggers = readyOf(containers[0]!, state)?.inputs?.triggers;
  return Array.isArray(triggers) && triggers.includes(service.directory.hash);
}

/** The resource that waits for a container to be healthy, and that reloads its files. */
export function readyOf(
  container: DeployedResource,
  state: DeployedResource[],
): DeployedResource | undefined {
  return state.find(({ urn }) => nameOf(urn) === `${nameOf(container.urn)}-ready`);
}

/** The step that sends the edge to the gateways. */
export function switchOf(state: DeployedResource[]): DeployedResource | undefined {
  return state.find(({ urn }) => nameOf(urn).endsWith("-gateway-switch"));
}

function nameOf(urn: string): string {
  return urn.split("::").at(-1)!;
}

function labelOf({ inputs }: DeployedResource, label: string): unknown {
  const labels = Array.isArray(inputs?.labels)
    ? (inputs.labels as { label?: unknown; value?: unknown }[])
    : [];
  return labels.find((one) => one.label === label)?.value;
}

import type { Problem } from "../kit/problems";
import type { StackConfig } from "../stack/config";
import { edgePorts, modelPorts, observabilityPorts, type PublishedPort } from "../stack/ports";

/** Ports that two parts of the box both claim. */
export function checkPorts(config: StackConfig): Problem[] {
  // The gateway's check reports clashes between the edge's own ports.
  const taken = new Map(edgePorts(config).map(({ port, key }) => [port, key]));
  const problems: Problem[] = [];
  for (const { port, key } of [...observabilityPorts(config), ...modelPorts(config)]) {
    const fix = key.includes("instances[")
      ? "Write `expose` into the instances, each with a port of its own."
      : "Choose a free port.";
    problems.push(...portClash(taken, { port, key }, fix));
    taken.set(port, key);
  }
  return problems;
}

/** The mistake of a port that is already taken. `taken` maps each port to the key that sets it. */
export function portClash(
  taken: Map<number, string>,
  { port, key }: Pick<PublishedPort, "port" | "key">,
  fix: string,
): Problem[] {
  const owner = taken.get(port);
  return owner ? [{ path: key, what: `Port ${port} belongs to ${owner}.`, fix }] : [];
}

import { edgePorts, modelPorts, observabilityPorts } from "./ports";
import type { Problem } from "./problems";
import type { StackConfig } from "./schema/stack";

/** Ports that two parts of the box want: each port of a host belongs to one. */
export function checkPorts(config: StackConfig): Problem[] {
  // Mistakes among the edge's own are told by the check of the gateway.
  const taken = new Map(edgePorts(config).map(({ port, key }) => [port, key]));
  const problems: Problem[] = [];
  for (const { port, key } of [...observabilityPorts(config), ...modelPorts(config)]) {
    const owner = taken.get(port);
    if (owner)
      problems.push({
        path: key,
        what: `Port ${port} belongs to ${owner}.`,
        fix: key.includes("instances[")
          ? "Write `expose` into the instances, each with a port of its own."
          : "Choose a free port.",
      });
    taken.set(port, key);
  }
  return problems;
}

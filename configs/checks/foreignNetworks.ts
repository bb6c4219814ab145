import type { Problem } from "../kit/problems";
import type { StackConfig } from "../stack/config";

/** Mistakes in the foreign networks that the box joins. */
export function checkForeignNetworks({ stack, gateway }: StackConfig): Problem[] {
  const problems: Problem[] = [];
  for (const key of ["upstreams", "clients"] as const)
    for (const [index, name] of gateway.joinNetworks[key].entries())
      if (name.startsWith(`gpubox-${stack}-`))
        problems.push({
          path: `gpubox:gateway.joinNetworks.${key}[${index}]`,
          what: `${name} is a network of this box, which makes and removes it.`,
          fix: "Name one that others made, or make one: `docker network create NAME`.",
        });
  if (gateway.auth === "none" && gateway.joinNetworks.clients.length > 0)
    problems.push({
      path: "gpubox:gateway.joinNetworks.clients",
      what: "Without keys, every container on those networks could use the models.",
      fix: "Write gpubox:gateway auth: key, or leave the networks out.",
    });
  return problems;
}

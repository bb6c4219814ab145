import { observabilityPorts } from "./checkObservability";
import { instancesOf } from "./plan/instances";
import type { Problem } from "./problems";
import type { StackConfig } from "./schema/stack";

/** The ports that models publish on the host, each with the key that sets it. */
export function exposedPorts({ models }: Pick<StackConfig, "models">) {
  return Object.entries(models).flatMap(([name, entry]) =>
    instancesOf(name, entry).flatMap(({ path, model }) => {
      const expose = "expose" in model ? model.expose : undefined;
      if (!expose) return [];
      return [
        { ...{ bind: expose.bind, port: expose.port }, key: `gpubox:models.${name}${path}.expose.port` },
      ];
    }),
  );
}

/** Mistakes in the ports that models publish past the gateway: each port of a host belongs to one. */
export function checkExposed(config: StackConfig): Problem[] {
  const { gateway, models } = config;
  const taken = new Map<number, string>([
    [gateway.port, "the gateway"],
    [gateway.adminPort ?? gateway.port + 1, "the gateway's admin port"],
    ...observabilityPorts(config).map(({ port, key }): [number, string] => [port, key]),
  ]);
  const challenges = gateway.tls?.acme?.port;
  if (challenges) taken.set(challenges, "gateway.tls.acme");
  const problems: Problem[] = [];
  for (const [name, entry] of Object.entries(models)) {
    const instances = instancesOf(name, entry);
    for (const { path, model } of instances) {
      const expose = "expose" in model ? model.expose : undefined;
      if (!expose) continue;
      const owner = taken.get(expose.port);
      const at = `gpubox:models.${name}${path}.expose.port`;
      if (owner)
        problems.push({
          path: at,
          what: `Port ${expose.port} belongs to ${owner}.`,
          fix:
            instances.length > 1
              ? "Write `expose` into the instances, each with a port of its own."
              : "Choose a free port.",
        });
      taken.set(expose.port, at);
    }
  }
  return problems;
}

import type { Problem } from "./problems";
import type { StackConfig } from "./schema/stack";

/** A port that the observability section publishes, with the key that sets it. */
export interface ObservabilityPort {
  bind: string;
  port: number;
  key: string;
}

/** Nothing where it is off. Prometheus asks nobody for a password, so that it is on loopback whatever `bind` says. */
export function observabilityPorts({ observability }: StackConfig): ObservabilityPort[] {
  if (observability.mode === "none") return [];
  return [
    { bind: observability.bind, port: observability.port, key: "gpubox:observability.port" },
    { bind: "127.0.0.1", port: observability.prometheusPort, key: "gpubox:observability.prometheusPort" },
  ];
}

/** Mistakes in the observability section that need the rest of the config to be seen. */
export function checkObservability(config: StackConfig): Problem[] {
  const { gateway, observability } = config;
  const problems: Problem[] = [];
  const taken = new Map([
    [gateway.port, "gpubox:gateway.port"],
    [gateway.adminPort ?? gateway.port + 1, "gpubox:gateway.adminPort"],
  ]);
  for (const { port, key } of observabilityPorts(config)) {
    const owner = taken.get(port);
    if (owner)
      problems.push({ path: key, what: `Port ${port} belongs to ${owner}.`, fix: "Choose a free port." });
    taken.set(port, key);
  }
  if (observability.mode === "none" && observability.alerts.webhook)
    problems.push({
      path: "gpubox:observability.alerts.webhook",
      what: "Nobody raises an alert with mode: none.",
      fix: "Write mode: bundled, or remove it.",
    });
  return problems;
}

import type { PlanContext } from "../context";

/** False for an image that has no recipe and that no registry gave: the rest comes up without it. */
export function isHad({ resolved }: PlanContext, role: "grafana" | "dcgm-exporter"): boolean {
  const image = resolved.images[role];
  return image !== undefined && image.source !== "unresolved";
}

/** The declared devices for which there is an exporter. */
export function nvidiaDevices({ config }: PlanContext) {
  return config.host.gpus.filter(({ vendor }) => vendor === "nvidia");
}

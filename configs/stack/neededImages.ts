import { engineOf, type ModelConfig } from "../engines";
import { type ImageName, type OwnImage, ownImageOf } from "../kit/imageRoles";
import type { OwnContainer } from "../schema/ownContainer";
import { entriesOfHost, type StackConfig } from "./config";
import { instancesOf } from "./instances";

/** An image that a stack needs, with the model that needs it. */
export interface NeededImage {
  role: ImageName;
  /** Public name of the first model that needs it; absent for the box's own. */
  model?: string;
  /** True when the box can come up without this image. */
  optional?: boolean;
}

/** The images that a stack's plan runs, each once. */
export function imageRolesOf(config: StackConfig): NeededImage[] {
  const needed: NeededImage[] = [{ role: "gateway" }, { role: "edge" }];
  if (config.cache.mode === "bundled") needed.push({ role: "cache" });
  if (config.database.mode === "bundled") needed.push({ role: "database" });
  needed.push(...observabilityRoles(config));
  if (config.gateway.tls?.acme) needed.push({ role: "acme" });
  for (const [name, entry] of Object.entries(entriesOfHost(config)))
    for (const { model } of instancesOf(name, entry)) {
      const [server, ...others] = engineOf(model).images?.(model, config.host) ?? [];
      const { image } = model as OwnContainer;
      if (server) needed.push({ role: image ? ownImageOf(image) : server, model: name });
      needed.push(...others.map((role) => ({ role, model: name })));
    }
  return needed.filter(({ role }, index) => needed.findIndex((other) => other.role === role) === index);
}

/** The images that entries and instances name themselves, each by the first place that names it. */
export function namedImages(config: StackConfig): { image: OwnImage; path: string; model: ModelConfig }[] {
  const named = Object.entries(entriesOfHost(config)).flatMap(([name, entry]) =>
    instancesOf(name, entry).flatMap(({ path, model }, index) => {
      const { image } = model as OwnContainer;
      const own = entry.instances?.[index] as OwnContainer | undefined;
      const at = `gpubox:models.${name}${own?.image ? path : ""}.image`;
      return image ? [{ image: ownImageOf(image), path: at, model }] : [];
    }),
  );
  return named.filter(({ image }, index) => named.findIndex((other) => other.image === image) === index);
}

function observabilityRoles({ host, cache, database, observability }: StackConfig): NeededImage[] {
  if (observability.mode === "none") return [];
  return [
    { role: "prometheus" },
    { role: "alertmanager" },
    { role: "node-exporter" },
    { role: "grafana", optional: true },
    ...(cache.mode === "bundled" ? [{ role: "redis-exporter" } as const] : []),
    ...(database.mode === "bundled" ? [{ role: "postgres-exporter" } as const] : []),
    ...(host.gpus.some(({ vendor }) => vendor === "nvidia")
      ? [{ role: "dcgm-exporter", optional: true } as const]
      : []),
  ];
}

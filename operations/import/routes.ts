import type { ModelConfig } from "../../configs/engines";
import { table } from "../../configs/kit/table";
import type { StackConfig } from "../../configs/stack/config";
import { instancesOf, namesOf } from "../../configs/stack/instances";
import type { Draft } from "./draft";

/** One name that clients write, before and after: a text for each server. */
export interface Route {
  name: string;
  old: string[];
  new: string[];
}

/** Every name of the old setup and of the new one, route by route. */
export function routesOf({ routes }: Draft, config: StackConfig): Route[] {
  const served = new Map(
    Object.entries(config.models).flatMap(([name, model]) =>
      namesOf(name, model).map(
        (one) => [one, one === name ? targetsOf(name, model) : [`as ${name}`]] as const,
      ),
    ),
  );
  const names = [...new Set([...routes.map(({ name }) => name), ...served.keys()])];
  return names.map((name) => {
    const rows = routes.filter((row) => row.name === name);
    const lost = rows.find(({ lost }) => lost)?.lost;
    return {
      name,
      old: rows.map(({ old }) => old),
      new: served.get(name) ?? [lost ? `none: ${lost}` : "none: see the file's comments"],
    };
  });
}

/** The routes as a table for the terminal, a row for each server. */
export function routeTable(routes: Route[]): string[] {
  const rows = routes.flatMap((route) =>
    Array.from({ length: Math.max(route.old.length, route.new.length) }, (_, row) => [
      row === 0 ? route.name : "",
      route.old[row] ?? (row === 0 ? "—" : ""),
      route.new[row] ?? "",
    ]),
  );
  return table(["name", "before", "with gpubox"], rows, () => false);
}

function targetsOf(name: string, entry: ModelConfig): string[] {
  return instancesOf(name, entry).map(({ model }) => {
    if (model.engine === "openai") return `${model.provider}/${model.model ?? name} at ${model.baseUrl}`;
    if (model.engine === "cloud") return `${model.model}${model.apiBase ? ` at ${model.apiBase}` : ""}`;
    const gpu = "gpu" in model ? model.gpu : undefined;
    return `${model.engine} ${model.model} on ${gpu ? `GPU ${gpu.devices.join(", ")}` : "the CPU"}`;
  });
}

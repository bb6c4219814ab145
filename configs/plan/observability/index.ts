import type { ServicePlan, StepPlan } from "../../kit/containerPlan";
import { hashOf } from "../../kit/text";
import type { BackendPlan, GatewayPlan, GroupPlan, ObservabilityPlan, SlotPlan } from "../../kit/types";
import type { BackendSpec } from "../context";
import { imageOf, type PlanContext } from "../context";
import { planAlertmanager } from "./alertmanager";
import { planGpuExporter, planHostExporter, planPostgresExporter, planRedisExporter } from "./exporters";
import { planGrafana } from "./grafana";
import { isHad, nvidiaDevices } from "./optional";
import { planPrometheus } from "./prometheus";
import { writeMetric } from "./textfile";

/** What a change of the box is told by. */
export interface Changing {
  gateway: GatewayPlan;
  edge: ServicePlan;
  backends: BackendPlan[];
  slots: SlotPlan[];
  groups: GroupPlan[];
}

/** Prometheus, Alertmanager, the exporters and Grafana; undefined where they are off. */
export function planObservability(
  context: PlanContext,
  backends: BackendSpec[],
  changing: Changing,
): ObservabilityPlan | undefined {
  if (context.config.observability.mode === "none") return undefined;
  return { services: monitors(context, backends), change: changeStep(context, changing) };
}

function monitors(context: PlanContext, backends: BackendSpec[]): ServicePlan[] {
  const { cache, database } = context.config;
  const exporters = [
    planHostExporter(context),
    ...(cache.mode === "bundled" ? [planRedisExporter(context)] : []),
    ...(database.mode === "bundled" ? [planPostgresExporter(context)] : []),
    ...(nvidiaDevices(context).length > 0 && isHad(context, "dcgm-exporter")
      ? [planGpuExporter(context)]
      : []),
  ];
  return [
    planPrometheus(context, backends, exporters),
    planAlertmanager(context),
    ...exporters,
    ...(isHad(context, "grafana") ? [planGrafana(context)] : []),
  ];
}

/** Dashboards draw a line at each of these times. */
function changeStep(context: PlanContext, { gateway, edge, backends, slots, groups }: Changing): StepPlan {
  const services = [
    edge,
    ...backends.flatMap(({ service, valve }) => [service, valve]),
    ...groups.map(({ service }) => service),
    ...slots.flatMap(({ service, members }) => [service, ...members.map(({ valve }) => valve)]),
  ];
  const specs = services.map(({ container, directory }) => [container.labels["gpubox.spec"], directory.hash]);
  const change = hashOf({ generation: gateway.generation, specs });
  const labels = `change="${change}",generation="${gateway.generation}"`;
  return {
    name: "change",
    script: writeMetric(imageOf(context, "edge"), context.dataDir, {
      file: "change",
      text: [
        "# HELP gpubox_change_timestamp_seconds When the box was last changed, and the gateway generation since.",
        "# TYPE gpubox_change_timestamp_seconds gauge",
        `gpubox_change_timestamp_seconds{${labels}} @NOW@`,
      ].join("\n"),
      unless: change,
    }),
  };
}

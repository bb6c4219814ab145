import { stringify } from "yaml";
import type { ServicePlan } from "../../kit/containerPlan";
import { configFile, directory, type FilePlan } from "../../kit/text";
import { modelSlug } from "../../stack/instances";
import { type BackendSpec, container, type PlanContext } from "../context";
import { BACKEND_METRICS_PATH, METRICS_PORT } from "../haproxy/common";
import { GATEWAY_PORT } from "../haproxy/edge";
import { EXPIRY_PATH } from "../haproxy/tls";
import { DCGM_PORT, EXPORTER_PORTS, healthAt } from "./exporters";
import { GATEWAYS_ALIAS } from "./gateway";
import { alertRules } from "./rules";

/** `nobody` of the official image; the recipe uses the same. */
const NOBODY = 65534;

const PORT = 9090;

/** Bound on what readings take on disk, whatever `retentionDays` says: a monitor must not fill the disk that it watches. */
const RETENTION_GB = 20;

/**
 * Prometheus. It finds gateways by a name on the network, and models by a file, so that neither a new generation nor a new
 * model restarts it. It is in no network with a backend: what a backend says of itself comes through its valve.
 */
export function planPrometheus(
  context: PlanContext,
  backends: BackendSpec[],
  exporters: ServicePlan[],
): ServicePlan {
  const { observability } = context.config;
  const fixed: Record<string, FilePlan> = {
    "prometheus.yml": configFile(prometheusConfig(context, exporters)),
    "rules.yml": configFile(stringify({ groups: [alertRules(context)] }, { lineWidth: 0 })),
  };
  // Read anew at each scrape, or when they change.
  const live: Record<string, FilePlan> = {
    "targets.json": configFile(`${JSON.stringify(targets(backends), null, 2)}\n`),
    "gateway-key": configFile({ secret: "masterKey", as: "raw" }),
    "backend-key": configFile({ secret: "saltKey", as: "derived" }),
  };
  const path = `${context.dataDir}/prometheus`;
  const volume = { name: `${context.prefix}-prometheus` };
  return {
    directory: directory(path, NOBODY, { ...fixed, ...live }, context.secrets),
    writable: [],
    volume,
    container: container(
      context,
      {
        name: "prometheus",
        role: "prometheus",
        entrypoint: ["/bin/prometheus"],
        command: [
          "--config.file=/etc/gpubox/prometheus.yml",
          "--storage.tsdb.path=/prometheus",
          `--storage.tsdb.retention.time=${observability.retentionDays}d`,
          `--storage.tsdb.retention.size=${RETENTION_GB}GB`,
          `--web.listen-address=:${PORT}`,
          `--web.external-url=http://127.0.0.1:${observability.prometheusPort}`,
          // Else any web page that is open on this machine may read what is here.
          `--web.cors.origin=http://(127\\.0\\.0\\.1|localhost):${observability.prometheusPort}`,
        ],
        user: `${NOBODY}:${NOBODY}`,
        networks: { edge: [], models: [], metrics: ["prometheus"] },
        mounts: [
          { kind: "directory", source: path, target: "/etc/gpubox", readOnly: true },
          { kind: "volume", source: volume.name, target: "/prometheus", readOnly: false },
        ],
        ports: [{ bind: "127.0.0.1", port: observability.prometheusPort, containerPort: PORT }],
        memoryMiB: observability.memoryMiB,
        health: healthAt(PORT, "/-/ready"),
        readySeconds: 300,
        stopGraceSeconds: 60,
      },
      directory(path, NOBODY, fixed, context.secrets).hash,
    ),
  };
}

function prometheusConfig({ config }: PlanContext, exporters: ServicePlan[]): string {
  const there = exporters.map(({ container }) => container.name);
  const job = (job_name: string, host: string, port: number) => ({
    job_name,
    static_configs: [{ targets: [`${host}:${port}`], labels: { instance: host } }],
  });
  const models = (job_name: string, more: object) => ({
    job_name,
    ...more,
    file_sd_configs: [{ files: ["/etc/gpubox/targets.json"], refresh_interval: "30s" }],
    // One file for both jobs: each takes its own.
    relabel_configs: [{ source_labels: ["__gpubox_job"], regex: job_name, action: "keep" }],
  });
  const every = `${config.observability.scrapeSeconds}s`;
  return stringify({
    global: {
      scrape_interval: every,
      scrape_timeout: `${Math.min(10, config.observability.scrapeSeconds)}s`,
      evaluation_interval: every,
      external_labels: { stack: config.stack },
    },
    rule_files: ["/etc/gpubox/rules.yml"],
    alerting: { alertmanagers: [{ static_configs: [{ targets: ["alertmanager:9093"] }] }] },
    scrape_configs: [
      {
        job_name: "gateway",
        // The path that LiteLLM would redirect to.
        metrics_path: "/metrics/",
        authorization: { credentials_file: "/etc/gpubox/gateway-key" },
        dns_sd_configs: [{ names: [GATEWAYS_ALIAS], type: "A", port: GATEWAY_PORT, refresh_interval: "10s" }],
      },
      // Free slots for gateways are in maintenance.
      { ...job("edge", "edge", METRICS_PORT), params: { "no-maint": [""] } },
      ...(config.gateway.tls
        ? [{ ...job("certificate", "edge", METRICS_PORT), metrics_path: EXPIRY_PATH }]
        : []),
      models("valve", { params: { "no-maint": [""] } }),
      models("backend", {
        metrics_path: BACKEND_METRICS_PATH,
        authorization: { credentials_file: "/etc/gpubox/backend-key" },
      }),
      ...(there.includes("redis-exporter")
        ? [job("redis", "redis-exporter", EXPORTER_PORTS["redis-exporter"])]
        : []),
      ...(there.includes("postgres-exporter")
        ? [job("postgres", "postgres-exporter", EXPORTER_PORTS["postgres-exporter"])]
        : []),
      job("host", "node-exporter", EXPORTER_PORTS["node-exporter"]),
      ...(there.includes("dcgm-exporter") ? [job("gpu", "dcgm-exporter", DCGM_PORT)] : []),
      job("prometheus", "localhost", PORT),
      job("alertmanager", "alertmanager", 9093),
    ],
  });
}

/** Prometheus' file_sd format: the valve of every instance, and its backend where that has metrics. */
function targets(backends: BackendSpec[]) {
  return backends.flatMap(({ instance, model, start, engine }) => {
    const labels = { instance, model, start };
    const target = [`valve-${modelSlug(instance)}:${METRICS_PORT}`];
    return [
      { targets: target, labels: { ...labels, __gpubox_job: "valve" } },
      ...(engine.metricsPath ? [{ targets: target, labels: { ...labels, __gpubox_job: "backend" } }] : []),
    ];
  });
}

import { stringify } from "yaml";
import type { ServicePlan } from "../../kit/containerPlan";
import type { FilePlan } from "../../kit/text";
import { configFile, directory } from "../../kit/text";
import { assetFile, container, type PlanContext } from "../context";
import { dashboards } from "./dashboards";
import { healthAt } from "./exporters";
import { grafanaDashboard } from "./panels";

/** uid of `grafana` in the official image, which is also a group that nothing else has. */
const GRAFANA = 472;

const PORT = 3000;

/** Grafana with the box's dashboards. Its volume keeps what people add; the box's own dashboards come from here. */
export function planGrafana(context: PlanContext): ServicePlan {
  const { observability } = context.config;
  const files: Record<string, FilePlan> = {
    "entrypoint.sh": assetFile(context, "observability/grafana.sh"),
    "grafana.ini": configFile(INI),
    "admin-password": configFile({ secret: "grafanaPassword", as: "raw" }),
    "datasources.yaml": configFile(DATASOURCES),
    "dashboards.yaml": configFile(PROVIDER),
    ...Object.fromEntries(
      dashboards.map((one) => [
        `${one.name}.json`,
        configFile(`${JSON.stringify(grafanaDashboard(one), null, 2)}\n`),
      ]),
    ),
  };
  const own = directory(`${context.dataDir}/grafana`, GRAFANA, files, context.secrets);
  const volume = { name: `${context.prefix}-grafana` };
  return {
    directory: own,
    writable: [],
    volume,
    container: container(
      context,
      {
        name: "grafana",
        role: "grafana",
        entrypoint: ["sh"],
        command: ["/etc/gpubox/entrypoint.sh"],
        user: `${GRAFANA}:${GRAFANA}`,
        env: {
          HOME: "/tmp",
          GF_PATHS_CONFIG: "/etc/gpubox/grafana.ini",
          GF_PATHS_DATA: "/var/lib/grafana",
          GF_PATHS_LOGS: "/tmp/log",
          GF_PATHS_PLUGINS: "/var/lib/grafana/plugins",
          GF_PATHS_PROVISIONING: "/tmp/provisioning",
        },
        networks: { metrics: [], dashboards: ["grafana"] },
        mounts: [
          { kind: "directory", source: own.path, target: "/etc/gpubox", readOnly: true },
          { kind: "volume", source: volume.name, target: "/var/lib/grafana", readOnly: false },
        ],
        ports: [{ bind: observability.bind, port: observability.port, containerPort: PORT }],
        memoryMiB: 512,
        health: healthAt(PORT, "/api/health"),
        readySeconds: 180,
        stopGraceSeconds: 30,
      },
      own.hash,
    ),
  };
}

/** Nothing is asked of or told to anybody outside. The password counts at the first start, see docs/observability.md. */
const INI = `[server]
http_port = ${PORT}
[security]
admin_user = admin
admin_password = $__file{/etc/gpubox/admin-password}
disable_gravatar = true
cookie_samesite = strict
[users]
allow_sign_up = false
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
[news]
news_feed_enabled = false
[snapshots]
external_enabled = false
[plugins]
preinstall_disabled = true
plugin_admin_enabled = false
[log]
mode = console
`;

const DATASOURCES = stringify({
  apiVersion: 1,
  datasources: [
    {
      name: "Prometheus",
      uid: "gpubox",
      type: "prometheus",
      access: "proxy",
      url: "http://prometheus:9090",
      isDefault: true,
      editable: false,
    },
    {
      name: "Alertmanager",
      uid: "gpubox-alerts",
      type: "alertmanager",
      access: "proxy",
      url: "http://alertmanager:9093",
      editable: false,
      jsonData: { implementation: "prometheus" },
    },
  ],
});

const PROVIDER = stringify({
  apiVersion: 1,
  providers: [
    {
      name: "gpubox",
      folder: "gpubox",
      type: "file",
      options: { path: "/etc/gpubox" },
      disableDeletion: true,
    },
  ],
});

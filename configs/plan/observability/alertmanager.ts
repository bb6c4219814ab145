import { stringify } from "yaml";
import type { ServicePlan } from "../../kit/containerPlan";
import type { FilePlan } from "../../kit/text";
import { configFile, directory } from "../../kit/text";
import { container, type PlanContext } from "../context";
import { healthAt } from "./exporters";

/** `nobody` of the official image; the recipe uses the same. */
const NOBODY = 65534;

const PORT = 9093;

/** Groups alerts, sends them on, keeps silences. Its port is not published: whoever reaches it may silence. */
export function planAlertmanager(context: PlanContext): ServicePlan {
  const { webhook } = context.config.observability.alerts;
  const files: Record<string, FilePlan> = {
    "alertmanager.yml": configFile(alertmanagerConfig(webhook !== undefined)),
    ...(webhook ? { "webhook-url": configFile({ secret: webhook.secret, as: "raw" }) } : {}),
  };
  const own = directory(`${context.dataDir}/alertmanager`, NOBODY, files, context.secrets);
  const volume = { name: `${context.prefix}-alertmanager` };
  return {
    directory: own,
    writable: [],
    volume,
    container: container(
      context,
      {
        name: "alertmanager",
        role: "alertmanager",
        entrypoint: ["/bin/alertmanager"],
        command: [
          "--config.file=/etc/gpubox/alertmanager.yml",
          "--storage.path=/alertmanager",
          `--web.listen-address=:${PORT}`,
          "--cluster.listen-address=",
        ],
        user: `${NOBODY}:${NOBODY}`,
        networks: { metrics: ["alertmanager"], dashboards: [] },
        mounts: [
          { kind: "directory", source: own.path, target: "/etc/gpubox", readOnly: true },
          { kind: "volume", source: volume.name, target: "/alertmanager", readOnly: false },
        ],
        // A receiver may run on this host.
        hostGateway: true,
        memoryMiB: 128,
        health: healthAt(PORT, "/-/ready"),
        readySeconds: 60,
        stopGraceSeconds: 30,
      },
      own.hash,
    ),
  };
}

function alertmanagerConfig(webhook: boolean): string {
  return stringify({
    route: {
      receiver: webhook ? "webhook" : "nobody",
      group_by: ["alertname"],
      group_wait: "10s",
      group_interval: "1m",
      repeat_interval: "12h",
    },
    receivers: [
      webhook
        ? { name: "webhook", webhook_configs: [{ url_file: "/etc/gpubox/webhook-url", send_resolved: true }] }
        : { name: "nobody" },
    ],
  });
}

import { isSlice } from "../../capacity/device";
import type { PlanContext } from "../context";
import { usesDatabase } from "../gateway";
import { nvidiaDevices } from "./optional";

/** An alert in Prometheus' own form. */
export interface AlertRule {
  alert: string;
  expr: string;
  for: string;
  labels: { severity: "critical" | "warning" };
  annotations: { summary: string; fix: string };
}

type Severity = AlertRule["labels"]["severity"];

function rule(
  alert: string,
  severity: Severity,
  lasts: string,
  expr: string,
  [summary, fix]: [summary: string, fix: string],
): AlertRule {
  return { alert, expr, for: lasts, labels: { severity }, annotations: { summary, fix } };
}

/** What a person is told of, and what to do about it. Tested in test/e2e/observabilityRules.test.ts by promtool. */
export function alertRules(context: PlanContext): { name: string; rules: AlertRule[] } {
  return {
    name: "gpubox",
    rules: [
      ...servingRules,
      ...memoryRules(context.config.gateway.memoryMiB),
      ...hostRules,
      ...gpuRules(context),
      ...storeRules(context),
    ],
  };
}

const FAILED =
  'sum by (requested_model) (rate(litellm_proxy_failed_requests_metric_total{requested_model!="",exception_status=~"5.."}[5m]))';
const ASKED =
  'sum by (requested_model) (rate(litellm_proxy_total_requests_metric_total{requested_model!=""}[5m]))';

/** Requests that wait inside an engine, whichever it is: an instance has one of these. */
export const WAITING =
  "llamacpp:requests_deferred or vllm:num_requests_waiting or sglang:num_queue_reqs or te_queue_size";
/** Requests that an engine works on. */
export const RUNNING = "llamacpp:requests_processing or vllm:num_requests_running or sglang:num_running_reqs";

const servingRules: AlertRule[] = [
  rule(
    "ModelDown",
    "critical",
    "5m",
    'max by (model, instance) (haproxy_backend_active_servers{job="valve",proxy="model",start!="manual"}) == 0',
    [
      "The backend of {{ $labels.model }} ({{ $labels.instance }}) has not answered its health check for 5 minutes.",
      "Read its log: docker logs <the stack's prefix>-backend-<model>; docs/trouble.md.",
    ],
  ),
  rule(
    "ModelRestarts",
    "warning",
    "0m",
    'increase(haproxy_server_check_up_down_total{job="valve",proxy="model",server="backend",start="auto"}[1h]) >= 3',
    [
      'The backend of {{ $labels.model }} ({{ $labels.instance }}) went away {{ printf "%.0f" $value }} times within an hour: it hangs, or ends.',
      "`gpubox doctor` names which, in the rows `hung` and `restarted`; its log says why. One that hangs three times is left down.",
    ],
  ),
  rule("ValveDown", "critical", "2m", 'up{job="valve"} == 0', [
    "The valve of {{ $labels.model }} ({{ $labels.instance }}) does not answer, so nobody reaches the model.",
    "Run `gpubox up`; docker logs of the valve says why it ended.",
  ]),
  rule("EdgeDown", "critical", "1m", 'up{job="edge"} == 0', [
    "The edge does not answer, so nobody gets in.",
    "Run `gpubox up`; docker logs of the edge says why it ended.",
  ]),
  rule("GatewayDown", "critical", "1m", 'absent(up{job="gateway"} == 1)', [
    "No gateway gives metrics: there is none, or it does not take Prometheus' key.",
    "Run `gpubox smoke`; docker logs of the gateway says why it ended.",
  ]),
  rule("ErrorRate", "critical", "5m", `${FAILED} / ${ASKED} > 0.05`, [
    "{{ $value | humanizePercentage }} of the requests for {{ $labels.requested_model }} fail with a status of 500 or more.",
    "The dashboard `What failed` shows since when and with which error.",
  ]),
  rule(
    "EdgeErrorRate",
    "critical",
    "5m",
    'sum(rate(haproxy_frontend_http_responses_total{job="edge",proxy="clients",code="5xx"}[5m])) / ' +
      'sum(rate(haproxy_frontend_http_responses_total{job="edge",proxy="clients"}[5m])) > 0.05',
    [
      "{{ $value | humanizePercentage }} of all answers to clients have a status of 500 or more.",
      "The dashboard `What failed` shows which model, or that there is no gateway.",
    ],
  ),
  rule("RequestsQueue", "warning", "5m", `sum by (model) (${WAITING}) > 10`, [
    "{{ $value }} requests wait inside the backend of {{ $labels.model }}.",
    "Raise its `parallel` or `maxNumSeqs` where memory allows, add an instance, or limit rpm.",
  ]),
  // A model on demand gives none while it is not loaded.
  rule(
    "ExporterDown",
    "warning",
    "10m",
    'up{job=~"backend|redis|postgres|host|gpu",start!~"manual|ondemand"} == 0',
    [
      "{{ $labels.job }} {{ $labels.instance }} gives no metrics, so what it should warn of stays unseen.",
      "Prometheus says why on its page Status, Targets.",
    ],
  ),
];

function memoryRules(memoryMiB: number): AlertRule[] {
  const limit = memoryMiB * 1024 ** 2;
  const used = 'process_resident_memory_bytes{job="gateway"}';
  return [
    rule("GatewayMemory", "critical", "10m", `${used} > ${Math.round(limit * 0.85)}`, [
      "A gateway uses {{ $value | humanize1024 }}B, more than 85 % of its limit; at the limit it is killed with its streams.",
      "Raise gpubox:gateway.memoryMiB: the new generation takes over without an interruption.",
    ]),
    rule(
      "GatewayMemoryGrows",
      "warning",
      "30m",
      `predict_linear(${used}[2h], 43200) > ${limit} and ${used} > ${limit / 2}`,
      [
        "A gateway's memory grows so that it reaches its limit within 12 hours.",
        "Replace it in good time: any change of the gateway does, for example of its memoryMiB.",
      ],
    ),
  ];
}

const hostRules: AlertRule[] = [
  rule(
    "DiskLow",
    "critical",
    "10m",
    'node_filesystem_avail_bytes{job="host"} / node_filesystem_size_bytes < 0.1',
    [
      "{{ $value | humanizePercentage }} are left of the disk behind {{ $labels.mountpoint }} (/: Docker's; the other: the box's data).",
      "`gpubox gc` lists what nothing needs.",
    ],
  ),
  rule(
    "DiskFills",
    "warning",
    "1h",
    'predict_linear(node_filesystem_avail_bytes{job="host"}[6h], 86400) < 0 and node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.4',
    [
      "The disk behind {{ $labels.mountpoint }} is full within a day if it goes on like this.",
      "Look for what grows: docker system df, du -xh on the data directory.",
    ],
  ),
  rule(
    "HostMemoryLow",
    "critical",
    "10m",
    'node_memory_MemAvailable_bytes{job="host"} / node_memory_MemTotal_bytes < 0.05',
    [
      "Less than 5 % of the host's memory are available; soon something is killed.",
      "Lower memoryMiB of a model, or stop one.",
    ],
  ),
  rule("OutOfMemory", "warning", "0m", 'increase(node_vmstat_oom_kill{job="host"}[1h]) > 0', [
    'The kernel killed {{ printf "%.0f" $value }} processes within an hour because memory ran out.',
    "`gpubox doctor` names the container, in its rows `memory` and `model`, and what to raise; `gpubox models status` counts.",
  ]),
  rule(
    "CertificateExpires",
    "critical",
    "0m",
    "gpubox_certificate_expiry_timestamp_seconds - time() < 14 * 86400",
    [
      "The certificate for {{ $labels.host }} expires in {{ $value | humanizeDuration }}.",
      "Renew it: docs/tls.md.",
    ],
  ),
];

/** Devices of NVIDIA only: there is an exporter for them. A slice is counted with its device, whose number is not known. */
function gpuRules(context: PlanContext): AlertRule[] {
  const devices = nvidiaDevices(context);
  if (devices.length === 0) return [];
  const whole = Math.max(1, devices.filter(({ id }) => !isSlice(id)).length);
  return [
    rule(
      "GpuLost",
      "critical",
      "2m",
      `(count(count by (UUID) (DCGM_FI_DEV_GPU_TEMP{job="gpu"})) or vector(0)) < ${whole}`,
      [
        `Only {{ $value }} of ${whole} GPUs answer: one fell off the bus, or the driver is gone.`,
        "nvidia-smi and dmesg | grep -i xid on the host; it often takes a reboot.",
      ],
    ),
    rule("GpuError", "warning", "0m", 'DCGM_FI_DEV_XID_ERRORS{job="gpu"} > 0', [
      "GPU {{ $labels.gpu }} reported the XID error {{ $value }}.",
      "NVIDIA's list of XID errors says whether the application or the device is to blame.",
    ]),
  ];
}

function storeRules(context: PlanContext): AlertRule[] {
  const { cache, database } = context.config;
  return [
    ...(cache.mode === "bundled"
      ? [
          rule("RedisDown", "warning", "2m", "redis_up == 0", [
            "Redis does not answer: gateways count limits each for itself and cache nothing.",
            "Run `gpubox up`; docker logs of the cache says why it ended.",
          ]),
        ]
      : []),
    ...(database.mode === "bundled"
      ? [
          rule("PostgresDown", "critical", "2m", "pg_up == 0", [
            "Postgres does not answer: virtual keys that no gateway remembers are refused.",
            "Run `gpubox up`; docker logs of the database says why it ended.",
          ]),
        ]
      : []),
    ...(usesDatabase(context)
      ? [
          rule("BackupTooOld", "warning", "0m", "time() - gpubox_backup_timestamp_seconds > 3 * 86400", [
            "The last backup of the database is {{ $value | humanizeDuration }} old.",
            "Run `gpubox backup`, and let a timer do it.",
          ]),
          rule("BackupMissing", "warning", "1d", "absent(gpubox_backup_timestamp_seconds)", [
            "The database has never been backed up.",
            "Run `gpubox backup`, and let a timer do it.",
          ]),
        ]
      : []),
  ];
}

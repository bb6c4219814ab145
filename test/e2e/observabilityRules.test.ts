import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import type { AlertRule } from "../../configs/plan/observability/rules";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { scratch } from "../support/allocate";
import { needs } from "../support/needs";
import { fileOf, gpuHost, observed, online, secrets, serviceOf } from "../support/observed";
import { testPlan } from "../support/stacks";

const GIB = 1024 ** 3;

const plan = testPlan(
  observed({ ...gpuHost, gateway: { memoryMiB: 4096 } }, { alerts: { webhook: { secret: "hook" } } }),
  secrets,
  online,
);

interface Case {
  alert: string;
  /** Series to values, a minute apart, in promtool's notation. */
  series: Record<string, string>;
  /** Minutes after which it fires. */
  fires: number;
  /** A minute at which it does not yet. */
  quiet: number;
  labels?: Record<string, string>;
  summary: string;
}

const valve = 'job="valve",proxy="model",model="qwen",instance="qwen-1",start="auto"';
const requests = (status: string) =>
  `litellm_proxy_total_requests_metric_total{requested_model="qwen",status_code="${status}"}`;
const failures = (status: string) =>
  `litellm_proxy_failed_requests_metric_total{requested_model="qwen",exception_status="${status}"}`;
const answers = (code: string) =>
  `haproxy_frontend_http_responses_total{job="edge",proxy="clients",code="${code}"}`;
const temperature = (gpu: number) => `DCGM_FI_DEV_GPU_TEMP{job="gpu",gpu="${gpu}",UUID="GPU-${gpu}"}`;
const disk = 'job="host",mountpoint="/"';
const gateway = { job: "gateway", instance: "10.0.0.1:4000" };
const resident = 'process_resident_memory_bytes{job="gateway",instance="10.0.0.1:4000"}';

const cases: Case[] = [
  {
    alert: "ModelDown",
    series: { [`haproxy_backend_active_servers{${valve}}`]: "1 1 0x20" },
    quiet: 6,
    fires: 8,
    labels: { model: "qwen", instance: "qwen-1" },
    summary: "The backend of qwen (qwen-1) has not answered its health check for 5 minutes.",
  },
  {
    alert: "ModelRestarts",
    series: { [`haproxy_server_check_up_down_total{${valve},server="backend"}`]: "0 0 1 1 2 2 3x60" },
    quiet: 5,
    fires: 7,
    labels: {
      job: "valve",
      proxy: "model",
      server: "backend",
      model: "qwen",
      instance: "qwen-1",
      start: "auto",
    },
    summary: "The backend of qwen (qwen-1) went away 3 times within an hour: it hangs, or ends.",
  },
  {
    alert: "ValveDown",
    series: { 'up{job="valve",model="qwen",instance="qwen"}': "1 0x10" },
    quiet: 2,
    fires: 4,
    labels: { job: "valve", model: "qwen", instance: "qwen" },
    summary: "The valve of qwen (qwen) does not answer, so nobody reaches the model.",
  },
  {
    alert: "EdgeDown",
    series: { 'up{job="edge",instance="edge"}': "1 0x10" },
    quiet: 1,
    fires: 3,
    labels: { job: "edge", instance: "edge" },
    summary: "The edge does not answer, so nobody gets in.",
  },
  {
    // The old generation is gone, the new one does not take the key.
    alert: "GatewayDown",
    series: { 'up{job="gateway",instance="a"}': "1 1 _x9", 'up{job="gateway",instance="b"}': "0x10" },
    quiet: 1,
    fires: 9,
    summary: "No gateway gives metrics: there is none, or it does not take Prometheus' key.",
  },
  {
    alert: "ErrorRate",
    series: { [requests("200")]: "0+90x30", [requests("503")]: "0+10x30", [failures("503")]: "0+10x30" },
    quiet: 4,
    fires: 15,
    labels: { requested_model: "qwen" },
    summary: "10% of the requests for qwen fail with a status of 500 or more.",
  },
  {
    alert: "EdgeErrorRate",
    series: { [answers("2xx")]: "0+80x30", [answers("5xx")]: "0+20x30" },
    quiet: 4,
    fires: 15,
    summary: "20% of all answers to clients have a status of 500 or more.",
  },
  {
    alert: "RequestsQueue",
    series: {
      'llamacpp:requests_deferred{model="qwen",instance="qwen-1"}': "0 8x20",
      'vllm:num_requests_waiting{model="qwen",instance="qwen-2"}': "0 7x20",
    },
    quiet: 5,
    fires: 7,
    labels: { model: "qwen" },
    summary: "15 requests wait inside the backend of qwen.",
  },
  {
    alert: "ExporterDown",
    series: {
      'up{job="redis",instance="redis-exporter"}': "1 0x20",
      'up{job="backend",model="night",instance="night",start="ondemand"}': "0x20",
    },
    quiet: 10,
    fires: 12,
    labels: { job: "redis", instance: "redis-exporter" },
    summary: "redis redis-exporter gives no metrics, so what it should warn of stays unseen.",
  },
  {
    alert: "GatewayMemory",
    series: { [resident]: `1000000000 ${3.6 * GIB}x20` },
    quiet: 10,
    fires: 12,
    labels: gateway,
    summary:
      "A gateway uses 3.6GiB, more than 85 % of its limit; at the limit it is killed with its streams.",
  },
  {
    // From 2 GiB, 5 MiB a minute: over the limit of 4 GiB in 7 hours.
    alert: "GatewayMemoryGrows",
    series: { [resident]: `${2 * GIB}+${5 * 1024 ** 2}x60` },
    quiet: 20,
    fires: 45,
    labels: gateway,
    summary: "A gateway's memory grows so that it reaches its limit within 12 hours.",
  },
  {
    alert: "DiskLow",
    series: {
      [`node_filesystem_avail_bytes{${disk}}`]: `500 50x20`,
      [`node_filesystem_size_bytes{${disk}}`]: "1000x20",
    },
    quiet: 10,
    fires: 12,
    labels: { job: "host", mountpoint: "/" },
    summary: "5% are left of the disk behind / (/: Docker's; the other: the box's data).",
  },
  {
    alert: "DiskFills",
    series: {
      [`node_filesystem_avail_bytes{${disk}}`]: "390000-300x180",
      [`node_filesystem_size_bytes{${disk}}`]: "1000000x180",
    },
    quiet: 30,
    fires: 90,
    labels: { job: "host", mountpoint: "/" },
    summary: "The disk behind / is full within a day if it goes on like this.",
  },
  {
    alert: "HostMemoryLow",
    series: {
      'node_memory_MemAvailable_bytes{job="host"}': "500 10x20",
      'node_memory_MemTotal_bytes{job="host"}': "1000x20",
    },
    quiet: 10,
    fires: 12,
    labels: { job: "host" },
    summary: "Less than 5 % of the host's memory are available; soon something is killed.",
  },
  {
    alert: "OutOfMemory",
    series: { 'node_vmstat_oom_kill{job="host"}': "4x10 6x60" },
    quiet: 10,
    fires: 61,
    labels: { job: "host" },
    summary: "The kernel killed 2 processes within an hour because memory ran out.",
  },
  {
    // 15 days, seen from the first minute; promtool's clock starts at 0.
    alert: "CertificateExpires",
    series: { 'gpubox_certificate_expiry_timestamp_seconds{host="box.example"}': `${14 * 86_400 + 600}x30` },
    quiet: 5,
    fires: 11,
    labels: { host: "box.example" },
    summary: "The certificate for box.example expires in 13d 23h 59m 0s.",
  },
  {
    alert: "GpuLost",
    series: { [temperature(0)]: "50x10", [temperature(1)]: "50 50 stale" },
    quiet: 3,
    fires: 6,
    summary: "Only 1 of 2 GPUs answer: one fell off the bus, or the driver is gone.",
  },
  {
    alert: "GpuError",
    series: { 'DCGM_FI_DEV_XID_ERRORS{job="gpu",gpu="1"}': "0 0 79x10" },
    quiet: 1,
    fires: 2,
    labels: { job: "gpu", gpu: "1" },
    summary: "GPU 1 reported the XID error 79.",
  },
  {
    alert: "RedisDown",
    series: { 'redis_up{job="redis"}': "1 0x10" },
    quiet: 2,
    fires: 4,
    labels: { job: "redis" },
    summary: "Redis does not answer: gateways count limits each for itself and cache nothing.",
  },
  {
    alert: "PostgresDown",
    series: { 'pg_up{job="postgres"}': "1 0x10" },
    quiet: 2,
    fires: 4,
    labels: { job: "postgres" },
    summary: "Postgres does not answer: virtual keys that no gateway remembers are refused.",
  },
  {
    alert: "BackupTooOld",
    series: { gpubox_backup_timestamp_seconds: "0x4400" },
    quiet: 4310,
    fires: 4321,
    summary: "The last backup of the database is 3d 0h 1m 0s old.",
  },
  {
    alert: "BackupMissing",
    series: { 'up{job="host"}': "1x1500" },
    quiet: 1430,
    fires: 1450,
    summary: "The database has never been backed up.",
  },
];

/** What looks like a reason and is none: no alert of any name. */
const calm: Record<string, Record<string, string>> = {
  "a model that is started by hand is not running": {
    [`haproxy_backend_active_servers{${valve.replace('"auto"', '"manual"')}}`]: "0x30",
    'up{job="backend",model="qwen",start="manual"}': "0x30",
  },
  "clients ask for what is not there": {
    [requests("200")]: "0+10x30",
    [requests("400")]: "0+90x30",
    [failures("400")]: "0+90x30",
  },
  "one of two generations is gone": {
    'up{job="gateway",instance="a"}': "1 1 0x28",
    'up{job="gateway",instance="b"}': "1x30",
  },
};

needs("docker")("alert rules, by promtool", () => {
  let dir: string;
  let promtool: (...args: string[]) => Promise<{ code: number; text: string }>;
  const rules: AlertRule[] = parse(fileOf(plan, "prometheus", "rules.yml")).groups[0].rules;

  beforeAll(async () => {
    const docker = process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
    const images = await buildRecipes(["prometheus", "alertmanager"], {
      projectDir: packageDir,
      docker,
      log: () => undefined,
    });
    dir = scratch("rules");
    promtool = async (program, ...args) => {
      const tool = program === "amtool" ? images.alertmanager! : images.prometheus!;
      const options = ["run", "--rm", "--network", "none", "--user", "0", "-v", `${dir}:/etc/gpubox:ro`];
      const result = await run("docker", [...options, "--entrypoint", program, tool, ...args]);
      return { code: result.code, text: result.stdout + result.stderr };
    };
    for (const service of ["prometheus", "alertmanager"])
      for (const file of Object.keys(serviceOf(plan, service).directory.files))
        writeFileSync(join(dir, file), fileOf(plan, service, file));
  }, 300_000);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test("there is a case for every rule, and a rule for every case", () => {
    expect(cases.map(({ alert }) => alert).sort()).toEqual(rules.map(({ alert }) => alert).sort());
  });

  test("Prometheus and Alertmanager accept their configs", async () => {
    const config = await promtool("promtool", "check", "config", "/etc/gpubox/prometheus.yml");
    expect(config).toMatchObject({ code: 0, text: expect.stringContaining(`${rules.length} rules found`) });
    expect(await promtool("amtool", "check-config", "/etc/gpubox/alertmanager.yml")).toMatchObject({
      code: 0,
    });
  });

  test("each alert fires exactly when it should, and says what is wrong and what to do", async () => {
    const tests = cases.map(({ alert, series, fires, quiet, labels = {}, summary }) => {
      const { labels: own, annotations } = rules.find((rule) => rule.alert === alert)!;
      const said = { exp_labels: { ...labels, ...own }, exp_annotations: { summary, fix: annotations.fix } };
      return {
        name: alert,
        interval: "1m",
        input_series: seriesOf(series),
        alert_rule_test: [
          { eval_time: `${quiet}m`, alertname: alert },
          { eval_time: `${fires}m`, alertname: alert, exp_alerts: [said] },
        ],
      };
    });
    expect(await check(tests)).toEqual({ code: 0, text: expect.stringContaining("SUCCESS") });
  });

  test("a false reason raises no alert", async () => {
    const tests = Object.entries(calm).map(([name, series]) => ({
      name,
      interval: "1m",
      input_series: seriesOf({ ...series, 'up{job="gateway",instance="calm"}': "1x30", ...bothGpus }),
      alert_rule_test: rules.map(({ alert }) => ({ eval_time: "25m", alertname: alert })),
    }));
    expect(await check(tests)).toEqual({ code: 0, text: expect.stringContaining("SUCCESS") });
  });

  const bothGpus = { [temperature(0)]: "50x30", [temperature(1)]: "50x30" };
  const seriesOf = (series: Record<string, string>) =>
    Object.entries(series).map(([name, values]) => ({ series: name, values }));

  async function check(tests: object[]) {
    writeFileSync(
      join(dir, "test.yml"),
      stringify({ rule_files: ["rules.yml"], evaluation_interval: "1m", tests }),
    );
    return promtool("promtool", "test", "rules", "/etc/gpubox/test.yml");
  }
});

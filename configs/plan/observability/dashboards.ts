import type { Dashboard, Panel, PanelQuery, Unit } from "./panels";
import { RUNNING, WAITING } from "./rules";

type Kind = Panel["kind"];

function panel(kind: Kind, unit: Unit, title: string, help: string, ...queries: PanelQuery[]): Panel {
  return { title, help, kind, unit, queries };
}

function query(expr: string, legend: string): PanelQuery {
  return { expr, legend };
}

/** Increase a second of a counter of the gateway, by labels. */
function rate(counter: string, ...by: string[]): string {
  return `sum by (${by.join(", ")}) (rate(${counter}[$__rate_interval]))`;
}

function quantile(q: number, histogram: string, by: string): string {
  return `histogram_quantile(${q}, ${rate(`${histogram}_bucket`, "le", by)})`;
}

const MODEL = "requested_model";
/** Requests without a model are of routes that serve none. */
const ASKED = 'litellm_proxy_total_requests_metric_total{requested_model!=""}';
const FAILED = 'litellm_proxy_failed_requests_metric_total{requested_model!=""}';

const models: Dashboard = {
  name: "models",
  title: "Which model is slow",
  panels: [
    panel(
      "graph",
      "reqpm",
      "Requests a minute",
      "What each model is asked.",
      query(`${rate(ASKED, MODEL)} * 60`, "{{requested_model}}"),
    ),
    panel(
      "graph",
      "s",
      "Time to the whole answer",
      "Half of the requests are faster than p50, 5 % are slower than p95.",
      query(quantile(0.5, "litellm_request_total_latency_metric", MODEL), "{{requested_model}} p50"),
      query(quantile(0.95, "litellm_request_total_latency_metric", MODEL), "{{requested_model}} p95"),
    ),
    panel(
      "graph",
      "s",
      "Time to the first token, p95",
      "Streams only. It is long where requests queue, or prompts are long and not cached.",
      query(quantile(0.95, "litellm_llm_api_time_to_first_token_metric", MODEL), "{{requested_model}}"),
    ),
    panel(
      "graph",
      "s",
      "Seconds for each token of an answer",
      "How fast a model writes.",
      query(
        `${rate("litellm_deployment_latency_per_output_token_sum", "model_group")} / ${rate("litellm_deployment_latency_per_output_token_count", "model_group")}`,
        "{{model_group}}",
      ),
    ),
    panel(
      "graph",
      "short",
      "Requests that a backend works on",
      "As many as it has slots: it is full.",
      query(`sum by (model) (${RUNNING})`, "{{model}}"),
    ),
    panel(
      "graph",
      "short",
      "Requests that wait inside a backend",
      "More than a few for long: it needs more slots, or another instance.",
      query(`sum by (model) (${WAITING})`, "{{model}}"),
    ),
    panel(
      "graph",
      "short",
      "Requests held at a valve",
      "The backend is away and they wait for it.",
      query('sum by (model) (haproxy_frontend_current_sessions{job="valve",proxy="waiting"})', "{{model}}"),
    ),
    panel(
      "now",
      "short",
      "Backends that answer",
      "0: down, or not started.",
      query('max by (instance) (haproxy_backend_active_servers{job="valve",proxy="model"})', "{{instance}}"),
    ),
  ],
};

const spend: Dashboard = {
  name: "spend",
  title: "Who spends",
  panels: [
    panel(
      "graph",
      "currencyUSD",
      "Spend an hour, by key",
      "Only models with a price cost anything. None: the master key.",
      query(`${rate("litellm_spend_metric_total", "api_key_alias")} * 3600`, "{{api_key_alias}}"),
    ),
    panel(
      "table",
      "currencyUSD",
      "Spend in this time, by key, team and model",
      "Of the time that the dashboard shows.",
      query(
        `sum by (api_key_alias, team_alias, ${MODEL}) (increase(litellm_spend_metric_total[$__range]))`,
        "",
      ),
    ),
    panel(
      "graph",
      "short",
      "Tokens a minute, by key",
      "In and out together.",
      query(`${rate("litellm_total_tokens_metric_total", "api_key_alias")} * 60`, "{{api_key_alias}}"),
    ),
    panel(
      "graph",
      "short",
      "Tokens a minute, by model",
      "What goes in and what comes out cost differently.",
      query(`${rate("litellm_input_tokens_metric_total", MODEL)} * 60`, "{{requested_model}} in"),
      query(`${rate("litellm_output_tokens_metric_total", MODEL)} * 60`, "{{requested_model}} out"),
    ),
    panel(
      "graph",
      "reqpm",
      "Requests a minute, by key",
      "",
      query(`${rate(ASKED, "api_key_alias")} * 60`, "{{api_key_alias}}"),
    ),
    panel(
      "graph",
      "reqpm",
      "Answers from the cache, a minute",
      "With gpubox:cache.ttlSeconds: these cost nothing.",
      query(`${rate("litellm_cache_hits_metric_total", "model")} * 60`, "{{model}} hits"),
      query(`${rate("litellm_cache_misses_metric_total", "model")} * 60`, "{{model}} misses"),
    ),
  ],
};

const gpu = (one: Panel): Panel => ({ ...one, needs: "gpu" });
const postgres = (one: Panel): Panel => ({ ...one, needs: "postgres" });
const redis = (one: Panel): Panel => ({ ...one, needs: "redis" });

const capacity: Dashboard = {
  name: "capacity",
  title: "How full is it",
  panels: [
    gpu(
      panel(
        "graph",
        "percentunit",
        "GPU memory",
        "Engines reserve theirs at the start: what matters is what is left for one more.",
        query("DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)", "{{gpu}} {{modelName}}"),
      ),
    ),
    gpu(
      panel(
        "graph",
        "percentunit",
        "GPU utilization",
        "",
        query("DCGM_FI_DEV_GPU_UTIL / 100", "{{gpu}} {{modelName}}"),
      ),
    ),
    gpu(panel("graph", "celsius", "GPU temperature", "", query("DCGM_FI_DEV_GPU_TEMP", "{{gpu}}"))),
    gpu(panel("graph", "watt", "GPU power", "", query("DCGM_FI_DEV_POWER_USAGE", "{{gpu}}"))),
    panel(
      "graph",
      "percentunit",
      "Host: processors busy",
      "",
      query('1 - avg(rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))', "busy"),
    ),
    panel(
      "graph",
      "bytes",
      "Host: memory",
      "",
      query("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes", "used"),
      query("node_memory_MemTotal_bytes", "total"),
    ),
    panel(
      "graph",
      "percentunit",
      "Disk used",
      "/ is the disk of the Docker engine, the other that of the box's data.",
      query("1 - node_filesystem_avail_bytes / node_filesystem_size_bytes", "{{mountpoint}}"),
    ),
    panel(
      "graph",
      "bytes",
      "Gateway memory",
      "LiteLLM grows with time; at gpubox:gateway.memoryMiB it is killed.",
      query('process_resident_memory_bytes{job="gateway"}', "{{instance}}"),
    ),
    panel(
      "graph",
      "short",
      "Clients connected, requests in gateways",
      "",
      query('haproxy_frontend_current_sessions{job="edge",proxy="clients"}', "clients"),
      query("sum(litellm_in_flight_requests)", "in gateways"),
    ),
    redis(
      panel(
        "graph",
        "percentunit",
        "Redis memory",
        "When it is full, the least used answers leave the cache.",
        query("redis_memory_used_bytes / redis_memory_max_bytes", "used"),
      ),
    ),
    postgres(
      panel(
        "graph",
        "short",
        "Postgres connections",
        "Two generations of gateways must fit below the limit.",
        query("sum(pg_stat_database_numbackends)", "open"),
        query("pg_settings_max_connections", "limit"),
      ),
    ),
    postgres(
      panel(
        "graph",
        "bytes",
        "Postgres size",
        "",
        query('pg_database_size_bytes{datname="litellm"}', "{{datname}}"),
      ),
    ),
  ],
};

const failures: Dashboard = {
  name: "failures",
  title: "What failed",
  panels: [
    panel(
      "now",
      "s",
      "Since the last change",
      "Each change is a line in the graphs, too.",
      query("time() - max(gpubox_change_timestamp_seconds)", "ago"),
    ),
    panel(
      "table",
      "short",
      "Failed since the gateway was made",
      "A gateway never changes: each change of models or settings makes a new one, which counts from zero.",
      query(`sum by (${MODEL}, exception_class, exception_status) (${FAILED})`, ""),
    ),
    panel(
      "graph",
      "reqpm",
      "Failed requests a minute",
      "",
      query(`${rate(FAILED, MODEL, "exception_class")} * 60`, "{{requested_model}} {{exception_class}}"),
    ),
    panel(
      "graph",
      "reqpm",
      "Answers to clients a minute, by status",
      "4xx: what clients did wrong. 5xx: what the box did.",
      query(
        `${rate('haproxy_frontend_http_responses_total{job="edge",proxy="clients",code!="other"}', "code")} * 60`,
        "{{code}}",
      ),
    ),
    panel(
      "graph",
      "reqpm",
      "Answers of backends a minute, by status",
      "As their valves saw them; 5xx is also: away for longer than the valve holds.",
      query(
        `${rate('haproxy_frontend_http_responses_total{job="valve",proxy="valve",code=~"2xx|4xx|5xx"}', "model", "code")} * 60`,
        "{{model}} {{code}}",
      ),
    ),
    panel(
      "now",
      "short",
      "Deployments as the gateway sees them",
      "0: healthy, 1: partly failing, 2: all requests fail.",
      query("max by (model_id) (litellm_deployment_state)", "{{model_id}}"),
    ),
    panel("table", "short", "Alerts", "", query('ALERTS{alertstate=~"pending|firing"}', "")),
    panel(
      "now",
      "short",
      "What Prometheus reads",
      "0: it does not answer.",
      query("min by (job, instance) (up)", "{{job}} {{instance}}"),
    ),
  ],
};

/** The box's dashboards. Each answers the question in its title. */
export const dashboards: Dashboard[] = [models, spend, capacity, failures];

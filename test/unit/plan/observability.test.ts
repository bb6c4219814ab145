import { parse } from "yaml";
import type { BoxPlan } from "../../../configs/kit/types";
import { parseStack } from "../../../configs/parse";
import { servicesOf } from "../../../configs/plan/box";
import { dashboards } from "../../../configs/plan/observability/dashboards";
import { imageRolesOf } from "../../../configs/stack/neededImages";
import { composeFile } from "../../../operations/compose/composeFile";
import {
  fileOf,
  gpuHost,
  image,
  names,
  observed,
  online,
  problemsOf,
  secrets,
  serviceOf,
} from "../../support/observed";
import { rawStack, testPlan, testSecrets, tinyModel } from "../../support/stacks";

test("a backup exports its time under the name that the alert rules use, if there is monitoring", () => {
  const told = ({ backup }: BoxPlan) => JSON.stringify(backup!.stdin);
  expect(told(testPlan())).not.toContain("gpubox_backup_timestamp_seconds");
  expect(told(testPlan(observed(), secrets, online))).toContain("gpubox_backup_timestamp_seconds @NOW@");
});

describe("off, which it is by default", () => {
  const off = testPlan();

  test("it has no container, network, port, secret or listener", () => {
    expect(off.observability).toBeUndefined();
    expect(names(off)).toEqual(["cache", "database", "valve-tiny", "backend-tiny", "edge", "gateway"]);
    expect(off.networks.map(({ role }) => role)).toEqual(["edge", "data", "models", "backends"]);
    expect(problemsOf({ models: tinyModel }, testSecrets as typeof secrets)).toEqual([]);
    for (const service of ["edge", "valve-tiny"])
      expect(fileOf(off, service, "haproxy.cfg")).not.toContain("prometheus-exporter");
    expect(parse(fileOf(off, "gateway", "config.yaml")).litellm_settings.callbacks).toEqual([
      "gpubox_guard.instance",
    ]);
    expect(imageRolesOf(parseStack(rawStack({ models: tinyModel }))).map(({ role }) => role)).toEqual([
      ...["gateway", "edge", "cache", "database", "llamacpp"],
    ]);
  });

  test("its unused settings do not change the gateway", () => {
    const values = { models: tinyModel, observability: { port: 3001, retentionDays: 3 } };
    expect(testPlan(values).gateway.generation).toBe(off.gateway.generation);
  });
});

describe("on", () => {
  const plan = testPlan(observed(), secrets, online);

  test("it has Prometheus, Alertmanager, Grafana and an exporter for the host and each bundled store", () => {
    expect(names(plan).slice(6)).toEqual([
      ...["prometheus", "alertmanager", "node-exporter", "redis-exporter", "postgres-exporter", "grafana"],
    ]);
    const bare = observed({ cache: { mode: "none" }, database: { mode: "none" } });
    expect(names(testPlan(bare, secrets, online)).slice(4)).toEqual([
      ...["prometheus", "alertmanager", "node-exporter", "grafana"],
    ]);
  });

  test("dashboards and Prometheus are published on loopback only, nothing else is", () => {
    const ports = servicesOf(plan).flatMap(({ container }) =>
      container.ports.map(({ bind, port }) => `${container.name} ${bind}:${port}`),
    );
    expect(ports).toEqual([
      "edge 127.0.0.1:4000",
      "edge 127.0.0.1:4001",
      "prometheus 127.0.0.1:9090",
      "grafana 127.0.0.1:3000",
    ]);
  });

  test("`bind` opens the dashboards, which ask for a password, and not Prometheus, which does not", () => {
    const wide = testPlan(observed({}, { bind: "0.0.0.0" }), secrets, online);
    expect(serviceOf(wide, "grafana").container.ports[0]!.bind).toBe("0.0.0.0");
    expect(serviceOf(wide, "prometheus").container.ports[0]!.bind).toBe("127.0.0.1");
  });

  test("Prometheus is in no network with a backend or a store, exporters are in none that leads out", () => {
    const networks = (name: string) => Object.keys(serviceOf(plan, name).container.networks).sort();
    expect(networks("prometheus")).toEqual(["edge", "metrics", "models"]);
    expect(networks("node-exporter")).toEqual(["metrics"]);
    expect(networks("redis-exporter")).toEqual(["data", "metrics"]);
    expect(networks("postgres-exporter")).toEqual(["data", "metrics"]);
    expect(plan.networks.slice(4)).toMatchObject([
      { role: "metrics", name: "gpubox-test-metrics", internal: true },
      { role: "dashboards", name: "gpubox-test-dashboards", internal: false },
    ]);
  });

  test("turning it on replaces nothing but the gateway, which is start-first: edge and valves reload", () => {
    const spec = (one: BoxPlan, name: string) => serviceOf(one, name).container.labels["gpubox.spec"];
    const off = testPlan();
    for (const name of ["edge", "valve-tiny", "backend-tiny", "cache", "database"])
      expect([name, spec(plan, name)]).toEqual([name, spec(off, name)]);
    expect(serviceOf(plan, "edge").directory.hash).not.toBe(serviceOf(off, "edge").directory.hash);
    expect(plan.gateway.generation).not.toBe(off.gateway.generation);
    expect(plan.gateway.container.replacement).toBe("start-first");
  });

  test("its own settings replace neither gateway nor edge", () => {
    const other = testPlan(
      observed(
        {},
        { port: 3001, prometheusPort: 9091, scrapeSeconds: 5, alerts: { webhook: { secret: "hook" } } },
      ),
      secrets,
      online,
    );
    expect(other.gateway.generation).toBe(plan.gateway.generation);
    expect(other.edge).toEqual(plan.edge);
  });

  test("another model and another master key change files that Prometheus reloads, not its container", () => {
    const two = { ...tinyModel, more: { engine: "llamacpp", model: "file:///srv/models/more.gguf" } };
    const rotated = { ...secrets, masterKey: "sk-PLANTED-rotated-0123456789abcdef" };
    const later = testPlan(observed({ models: two }), rotated, online);
    const [before, after] = [plan, later].map((one) => serviceOf(one, "prometheus"));
    expect(after!.container).toEqual(before!.container);
    expect(after!.directory.hash).not.toBe(before!.directory.hash);
  });

  test("each model is read through its valve, with who starts it; its backend only where it has metrics", () => {
    const models = {
      ...tinyModel,
      big: { engine: "llamacpp", model: "file:///srv/models/big.gguf", start: "manual" },
      talk: { engine: "ollama", model: "qwen3:0.6b" },
    };
    const images = { ...online.images, ollama: image("ollama") };
    const targets = JSON.parse(
      fileOf(testPlan(observed({ models }), secrets, { ...online, images }), "prometheus", "targets.json"),
    );
    const seen = targets.map((target: { targets: string[]; labels: Record<string, string> }) =>
      [target.labels.__gpubox_job, target.labels.model, target.labels.start, ...target.targets].join(" "),
    );
    expect(seen).toEqual([
      "valve big manual valve-big:4004",
      "backend big manual valve-big:4004",
      "valve talk auto valve-talk:4004",
      "valve tiny auto valve-tiny:4004",
      "backend tiny auto valve-tiny:4004",
    ]);
  });

  test("the expiry of the edge's certificate is read if it has one", () => {
    const jobs = (gateway: Record<string, unknown>) => {
      const box = testPlan(observed({ gateway }), secrets, online);
      return parse(fileOf(box, "prometheus", "prometheus.yml")).scrape_configs;
    };
    const job = {
      job_name: "certificate",
      metrics_path: "/certificate",
      static_configs: [{ targets: ["edge:4004"], labels: { instance: "edge" } }],
    };
    const tls = { certificate: "/etc/tls/box.pem", key: "/etc/tls/box.key" };
    expect(jobs({ tls, hosts: ["box.example"] })).toContainEqual(job);
    expect(jobs({})).not.toContainEqual(expect.objectContaining({ job_name: "certificate" }));
  });

  test("no two listeners of the edge share a port, with an admin port that speaks TLS", () => {
    const tls = { acme: { agreeToTerms: true } };
    const gateway = {
      tls,
      hosts: ["box.example.com"],
      bind: "0.0.0.0",
      port: 443,
      admin: { bind: "100.64.0.7" },
    };
    const cfg = fileOf(testPlan(observed({ gateway }), secrets, online), "edge", "haproxy.cfg");
    const ports = [...cfg.matchAll(/^ {2}bind (?:127\.0\.0\.1)?:(\d+)/gm)].map(([, port]) => port);
    expect(ports).toEqual(["4000", "4001", "4005", "4004", "4003", "4002"]);
  });

  test("own callbacks of the stack's settings stay", () => {
    const gateway = { settings: { litellm: { callbacks: "otel" } } };
    const config = parse(fileOf(testPlan(observed({ gateway }), secrets, online), "gateway", "config.yaml"));
    expect(config.litellm_settings.callbacks).toEqual(["otel", "gpubox_guard.instance", "prometheus"]);
  });

  test("no secret stands in a command, an environment variable, a label or a Compose file", () => {
    const all = testPlan(
      observed(gpuHost, {
        alerts: { webhook: { secret: "hook" } },
        langfuse: {
          host: "http://langfuse.example",
          publicKey: { secret: "langfusePublic" },
          secretKey: { secret: "langfuseSecret" },
        },
      }),
      secrets,
      online,
    );
    expect(JSON.stringify(servicesOf(all).map(({ container }) => container))).not.toContain("PLANTED");
    expect(composeFile(all)).not.toContain("PLANTED");
    expect(all.observability!.change!.script).not.toContain("PLANTED");
  });

  test("its data outlives its containers", () => {
    const volumes = servicesOf(plan).flatMap(({ volume }) => volume?.name ?? []);
    expect(volumes).toEqual(
      ["database", "prometheus", "alertmanager", "grafana"].map((name) => `gpubox-test-${name}`),
    );
  });

  test("the same change is recorded once, another one again", () => {
    const script = (values: Record<string, unknown>) =>
      testPlan(values, secrets, online).observability!.change!.script;
    expect(script(observed())).toBe(script(observed()));
    expect(script(observed({}, { retentionDays: 3 }))).toBe(script(observed()));
    expect(script(observed({ gateway: { drainTimeout: 30 } }))).not.toBe(script(observed()));
  });
});

test("every dashboard is there as a file of Grafana's, with a line at each change", () => {
  const plan = testPlan(observed(), secrets, online);
  for (const { name, title, panels } of dashboards) {
    const json = JSON.parse(fileOf(plan, "grafana", `${name}.json`));
    expect([json.title, json.panels.length]).toEqual([title, panels.length]);
    expect(json.annotations.list[0].expr).toContain("gpubox_change_timestamp_seconds");
  }
});

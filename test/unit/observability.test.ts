import { parse } from "yaml";
import { parseStack } from "../../configs/parse";
import { servicesOf } from "../../configs/plan/box";
import { composeFile } from "../../configs/plan/compose";
import { imageRolesOf } from "../../configs/plan/imageRoles";
import { dashboards } from "../../configs/plan/observability/dashboards";
import { renderText } from "../../configs/plan/text";
import type { BoxPlan, Resolved } from "../../configs/plan/types";
import { ConfigError } from "../../configs/problems";
import { rawStack, recipes, testPlan, testSecrets, tinyModel } from "../support/stacks";

const secrets = {
  ...testSecrets,
  grafanaPassword: "PLANTED-grafana-0123456789",
  hook: "http://PLANTED-hook.example/x",
  langfusePublic: "pk-PLANTED-langfuse",
  langfuseSecret: "sk-PLANTED-langfuse",
};

const image = (role: string) => ({ reference: `gpubox/${role}:0123456789ab`, source: "recipe" as const });

/** A machine without an image registry: there is no recipe for Grafana and none for NVIDIA's exporter. */
const offline: Resolved = {
  ...recipes,
  images: {
    ...recipes.images,
    ...Object.fromEntries(
      ["prometheus", "alertmanager", "node-exporter", "redis-exporter", "postgres-exporter"].map((role) => [
        role,
        image(role),
      ]),
    ),
    "llamacpp-cuda": image("llamacpp-cuda"),
    grafana: { reference: "grafana/grafana:1", source: "unresolved" },
    "dcgm-exporter": { reference: "nvidia/dcgm:1", source: "unresolved" },
  },
};

/** One with everything. */
const online: Resolved = {
  ...offline,
  images: {
    ...offline.images,
    grafana: { reference: "grafana/grafana@sha256:1", source: "digest" },
    "dcgm-exporter": { reference: "nvidia/dcgm@sha256:2", source: "digest" },
  },
};

const gpuHost = {
  host: {
    gpus: [
      { id: 0, memoryGiB: 24 },
      { id: 1, memoryGiB: 24 },
    ],
  },
};

const observed = (more: Record<string, unknown> = {}, observability: Record<string, unknown> = {}) => ({
  models: tinyModel,
  ...more,
  observability: { mode: "bundled", ...observability },
});

const names = (plan: BoxPlan) => servicesOf(plan).map(({ container }) => container.name);

function serviceOf(plan: BoxPlan, name: string) {
  const found = servicesOf(plan).find(({ container }) => container.name === name);
  if (!found) throw new Error(`there is no ${name}`);
  return found;
}

function fileOf(plan: BoxPlan, service: string, file: string): string {
  return renderText(serviceOf(plan, service).directory.files[file]!.text, secrets);
}

function problemsOf(values: Record<string, unknown>, known = secrets) {
  try {
    parseStack(rawStack(values, known));
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ path, what }) => `${path}: ${what}`);
    throw error;
  }
  return [];
}

describe("off, which it is by default", () => {
  const off = testPlan();

  test("no container, network, port, secret or listener of it is there", () => {
    expect(off.observability).toBeUndefined();
    expect(names(off)).toEqual(["cache", "database", "valve-tiny", "backend-tiny", "edge", "gateway"]);
    expect(off.networks.map(({ role }) => role)).toEqual(["edge", "data", "models", "backends"]);
    expect(problemsOf({ models: tinyModel }, testSecrets as typeof secrets)).toEqual([]);
    for (const service of ["edge", "valve-tiny"])
      expect(fileOf(off, service, "haproxy.cfg")).not.toContain("prometheus-exporter");
    expect(parse(fileOf(off, "gateway", "config.yaml")).litellm_settings).not.toHaveProperty("callbacks");
    expect(imageRolesOf(parseStack(rawStack({ models: tinyModel }))).map(({ role }) => role)).toEqual([
      ...["gateway", "edge", "cache", "database", "llamacpp"],
    ]);
  });

  test("settings of it that are not in use make no other gateway", () => {
    const values = { models: tinyModel, observability: { port: 3001, retentionDays: 3 } };
    expect(testPlan(values).gateway.generation).toBe(off.gateway.generation);
  });
});

describe("on", () => {
  const plan = testPlan(observed(), secrets, online);

  test("it is Prometheus, Alertmanager, Grafana and an exporter for the host and each bundled store", () => {
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

  test("Prometheus is in no network with a backend or a store, exporters in none that leads out", () => {
    const networks = (name: string) => Object.keys(serviceOf(plan, name).container.networks).sort();
    expect(networks("prometheus")).toEqual(["edge", "metrics", "models"]);
    expect(networks("node-exporter")).toEqual(["metrics"]);
    expect(networks("redis-exporter")).toEqual(["data", "metrics"]);
    expect(networks("postgres-exporter")).toEqual(["data", "metrics"]);
    expect(plan.networks.slice(4)).toEqual([
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

  test("another model and another master key change files that Prometheus reads anew, and not its container", () => {
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

  test("own callbacks of the stack's settings stay", () => {
    const gateway = { settings: { litellm: { callbacks: "my_logger.instance" } } };
    const config = parse(fileOf(testPlan(observed({ gateway }), secrets, online), "gateway", "config.yaml"));
    expect(config.litellm_settings.callbacks).toEqual(["my_logger.instance", "prometheus"]);
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
    expect(all.observability!.change.script).not.toContain("PLANTED");
  });

  test("its data outlives its containers", () => {
    const volumes = servicesOf(plan).flatMap(({ volume }) => volume?.name ?? []);
    expect(volumes).toEqual(
      ["database", "prometheus", "alertmanager", "grafana"].map((name) => `gpubox-test-${name}`),
    );
  });

  test("the same change is noted once, another one anew", () => {
    const script = (values: Record<string, unknown>) =>
      testPlan(values, secrets, online).observability!.change.script;
    expect(script(observed())).toBe(script(observed()));
    expect(script(observed({}, { retentionDays: 3 }))).toBe(script(observed()));
    expect(script(observed({ gateway: { drainTimeout: 30 } }))).not.toBe(script(observed()));
  });
});

describe("GPUs", () => {
  test("NVIDIA's exporter gets every declared device, and the loss of one is an alert", () => {
    const plan = testPlan(observed(gpuHost), secrets, online);
    expect(serviceOf(plan, "dcgm-exporter").container.gpu).toEqual({ vendor: "nvidia", ids: ["0", "1"] });
    expect(fileOf(plan, "prometheus", "rules.yml")).toContain("GpuLost");
    expect(fileOf(plan, "prometheus", "rules.yml")).toContain("or vector(0)) < 2");
  });

  test("a host without has neither exporter nor alert for them", () => {
    const plan = testPlan(observed(), secrets, online);
    expect(names(plan)).not.toContain("dcgm-exporter");
    expect(fileOf(plan, "prometheus", "rules.yml")).not.toContain("Gpu");
  });
});

describe("without an image registry", () => {
  test("it comes up without Grafana and NVIDIA's exporter, and says so", () => {
    const plan = testPlan(observed(gpuHost), secrets, offline);
    expect(names(plan)).toContain("prometheus");
    expect(names(plan)).not.toContain("grafana");
    expect(names(plan)).not.toContain("dcgm-exporter");
    expect(plan.notes.filter((note) => /There are no (dashboards|metrics)/.test(note))).toEqual([
      "There are no dashboards: Grafana's image could not be had, and Debian has no package of it. Metrics and alerts are at http://127.0.0.1:9090.",
      "There are no metrics of the GPUs: the image of NVIDIA's exporter could not be had.",
    ]);
    expect(plan.notes.join()).not.toContain("grafana/grafana:1");
  });
});

describe("Langfuse", () => {
  const langfuse = {
    host: "http://langfuse.example:3000",
    publicKey: { secret: "langfusePublic" },
    secretKey: { secret: "langfuseSecret" },
  };

  test("needs no metrics: a callback and three variables in the gateway's env file", () => {
    const plan = testPlan({ models: tinyModel, observability: { langfuse } }, secrets);
    expect(plan.observability).toBeUndefined();
    expect(parse(fileOf(plan, "gateway", "config.yaml")).litellm_settings.callbacks).toEqual([
      "langfuse_otel",
    ]);
    expect(fileOf(plan, "gateway", "gateway.env")).toContain(
      "LANGFUSE_OTEL_HOST='http://langfuse.example:3000'\nLANGFUSE_PUBLIC_KEY='pk-PLANTED-langfuse'\nLANGFUSE_SECRET_KEY='sk-PLANTED-langfuse'\n",
    );
  });

  test("another key of it is another generation", () => {
    const values = { models: tinyModel, observability: { langfuse } };
    const other = { ...secrets, langfuseSecret: "sk-PLANTED-other" };
    expect(testPlan(values, other).gateway.generation).not.toBe(testPlan(values, secrets).gateway.generation);
  });

  test("a callback without its secret is refused with its path", () => {
    const { langfuseSecret: _, ...some } = secrets;
    expect(problemsOf({ models: tinyModel, observability: { langfuse } }, some as typeof secrets)).toEqual([
      "gpubox:observability.langfuse.secretKey: The secret langfuseSecret is missing.",
    ]);
  });
});

describe("mistakes", () => {
  const { grafanaPassword: _, ...noPassword } = secrets;

  test.each([
    [
      { observability: { mode: "bundled", port: 4000 } },
      ["gpubox:observability.port: Port 4000 belongs to gpubox:gateway.port."],
    ],
    [
      { observability: { mode: "bundled", prometheusPort: 3000 } },
      ["gpubox:observability.prometheusPort: Port 3000 belongs to gpubox:observability.port."],
    ],
    [
      { observability: { alerts: { webhook: { secret: "hook" } } } },
      ["gpubox:observability.alerts.webhook: Nobody raises an alert with mode: none."],
    ],
    [
      { observability: { mode: "bundled", alerts: { webhook: { secret: "nowhere" } } } },
      ["gpubox:observability.alerts.webhook: The secret nowhere is missing."],
    ],
  ])("%j", (values, problems) => {
    expect(problemsOf({ models: tinyModel, ...values })).toEqual(problems);
  });

  test("a model's own port beside the dashboards' is refused", () => {
    const models = { tiny: { ...tinyModel.tiny, expose: { port: 9090, key: { secret: "hook" } } } };
    expect(problemsOf(observed({ models }))).toEqual([
      "gpubox:models.tiny.expose.port: Port 9090 belongs to gpubox:observability.prometheusPort.",
    ]);
  });

  test("the dashboards' password is one that `up` makes", () => {
    expect(problemsOf(observed(), noPassword as typeof secrets)).toEqual([
      "gpubox:observability: The secret grafanaPassword is missing.",
    ]);
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

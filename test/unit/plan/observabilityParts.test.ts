import { parse } from "yaml";
import { parseStack } from "../../../configs/parse";
import {
  fileOf,
  gpuHost,
  names,
  observed,
  offline,
  online,
  problemsOf,
  secrets,
  serviceOf,
} from "../../support/observed";
import { rawStack, testPlan, tinyModel } from "../../support/stacks";

describe("GPUs", () => {
  test("NVIDIA's exporter gets every declared device, and the loss of one is an alert", () => {
    const plan = testPlan(observed(gpuHost), secrets, online);
    expect(serviceOf(plan, "dcgm-exporter").container.gpu).toEqual({ vendor: "nvidia", ids: ["0", "1"] });
    expect(fileOf(plan, "prometheus", "rules.yml")).toContain("GpuLost");
    expect(fileOf(plan, "prometheus", "rules.yml")).toContain("or vector(0)) < 2");
  });

  test("a host without GPUs has neither exporter nor alert for them", () => {
    const plan = testPlan(observed(), secrets, online);
    expect(names(plan)).not.toContain("dcgm-exporter");
    expect(fileOf(plan, "prometheus", "rules.yml")).not.toContain("Gpu");
  });
});

describe("without an image registry", () => {
  test("monitoring comes up without Grafana and NVIDIA's exporter, and says so", () => {
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
      "gpubox_guard.instance",
      "langfuse_otel",
    ]);
    expect(fileOf(plan, "gateway", "gateway.env")).toContain(
      "LANGFUSE_OTEL_HOST='http://langfuse.example:3000'\nLANGFUSE_PUBLIC_KEY='pk-PLANTED-langfuse'\nLANGFUSE_SECRET_KEY='sk-PLANTED-langfuse'\n",
    );
  });

  test("another key makes another generation", () => {
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

test.each([{}, { email: "me@example.com", port: 3002 }])(
  "the former bundled Langfuse is refused with advice: %j",
  (more) => {
    const observability = { langfuse: { mode: "bundled", ...more } };
    expect(() => parseStack(rawStack({ models: tinyModel, observability }, secrets))).toThrow(
      /1 mistake:\n {2}gpubox:observability\.langfuse\.mode: "bundled" is not valid\. Run Langfuse elsewhere, and write mode: external with its host and keys\.$/,
    );
  },
);

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
      ["gpubox:observability.alerts.webhook: With mode: none nothing raises alerts."],
    ],
    [
      { observability: { mode: "bundled", alerts: { webhook: { secret: "nowhere" } } } },
      ["gpubox:observability.alerts.webhook: The secret nowhere is missing."],
    ],
  ])("%j", (values, problems) => {
    expect(problemsOf({ models: tinyModel, ...values })).toEqual(problems);
  });

  test("a model's own port that equals the dashboards' is refused", () => {
    const models = { tiny: { ...tinyModel.tiny, expose: { port: 9090, key: { secret: "hook" } } } };
    expect(problemsOf(observed({ models }))).toEqual([
      "gpubox:models.tiny.expose.port: Port 9090 belongs to gpubox:observability.prometheusPort.",
    ]);
  });

  test("`up` makes the dashboards' password", () => {
    expect(problemsOf(observed(), noPassword as typeof secrets)).toEqual([
      "gpubox:observability: The secret grafanaPassword is missing.",
    ]);
  });
});

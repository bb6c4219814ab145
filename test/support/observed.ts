import type { ServicePlan } from "../../configs/kit/containerPlan";
import { ConfigError } from "../../configs/kit/problems";
import type { Resolved } from "../../configs/kit/resolved";
import { renderText } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { parseStack } from "../../configs/parse";
import { servicesOf } from "../../configs/plan/box";
import { rawStack, recipes, testSecrets, tinyModel } from "./stacks";

/** Secret values of a stack that is watched. Each is recognisable. */
export const secrets = {
  ...testSecrets,
  grafanaPassword: "PLANTED-grafana-0123456789",
  hook: "http://PLANTED-hook.example/x",
  langfusePublic: "pk-PLANTED-langfuse",
  langfuseSecret: "sk-PLANTED-langfuse",
};

export const image = (role: string) => ({
  reference: `gpubox/${role}:0123456789ab`,
  source: "recipe" as const,
});

/** A machine without an image registry: there is no recipe for Grafana and none for NVIDIA's exporter. */
export const offline: Resolved = {
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
export const online: Resolved = {
  ...offline,
  images: {
    ...offline.images,
    grafana: { reference: "grafana/grafana@sha256:1", source: "digest" },
    "dcgm-exporter": { reference: "nvidia/dcgm@sha256:2", source: "digest" },
  },
};

export const gpuHost = {
  host: {
    gpus: [
      { id: 0, memoryGiB: 24 },
      { id: 1, memoryGiB: 24 },
    ],
  },
};

/** A stack config with the observability section on. */
export const observed = (
  more: Record<string, unknown> = {},
  observability: Record<string, unknown> = {},
) => ({
  models: tinyModel,
  ...more,
  observability: { mode: "bundled", ...observability },
});

/** Logical names of a plan's containers. */
export const names = (plan: BoxPlan) => servicesOf(plan).map(({ container }) => container.name);

export function serviceOf(plan: BoxPlan, name: string): ServicePlan {
  const found = servicesOf(plan).find(({ container }) => container.name === name);
  if (!found) throw new Error(`there is no ${name}`);
  return found;
}

/** Text of a service's file, secrets put in. */
export function fileOf(plan: BoxPlan, service: string, file: string): string {
  return renderText(serviceOf(plan, service).directory.files[file]!.text, secrets);
}

/** Each mistake of a stack config as path and sentence. */
export function problemsOf(values: Record<string, unknown>, known = secrets) {
  try {
    parseStack(rawStack(values, known));
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ path, what }) => `${path}: ${what}`);
    throw error;
  }
  return [];
}

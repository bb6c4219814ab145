import { parse } from "yaml";
import type { ConfigError } from "../../configs/kit/problems";
import { renderText } from "../../configs/kit/text";
import { parseStack } from "../../configs/parse";
import { planContext } from "../../configs/plan/box";
import { type JobPlan, planJob } from "../../operations/jobs/plan";
import { packageDir } from "../../platform/project";
import { loadAssets } from "../../platform/stack/assets";
import { rawStack, recipes, testSecrets, tinyModel } from "./stacks";

export const SECRETS = { ...testSecrets, glmKey: "sk-PLANTED-glm-0123456789abcdef" };
export const FOLDER = "/work/artifacts/litellm/eval";
export const remote = {
  upstream: { baseUrl: "http://llm.example:8000/v1", model: "GLM-5-FP8", apiKey: "dummy-cf" },
  port: 4101,
};

export function contextWith(jobs: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const raw = rawStack({ models: tinyModel, jobs, ...more }, SECRETS);
  const config = parseStack(raw);
  return planContext({
    ...{ config, secrets: raw.secrets, saltFingerprint: "", resolved: recipes },
    assets: loadAssets(packageDir),
  });
}

export function planOf(
  job: Record<string, unknown>,
  more: Record<string, unknown> = {},
  template?: string,
): JobPlan {
  const context = contextWith({ eval: job }, more);
  return planJob(context, {
    name: "eval",
    job: context.config.jobs.eval!,
    folder: FOLDER,
    path: "gpubox:jobs.eval",
    template,
  });
}

export function problemsOf(jobs: Record<string, unknown>, more: Record<string, unknown> = {}): string[] {
  try {
    contextWith(jobs, more);
    return [];
  } catch (error) {
    return (error as ConfigError).problems.map(({ path, what, fix }) => `${path}: ${what} ${fix}`);
  }
}

export const text = (plan: JobPlan, file: string) =>
  renderText(plan.files[file]!.text, { ...SECRETS, "job-key": "sk-made" });
export const litellm = (plan: JobPlan) => parse(text(plan, "litellm_config_eval.yaml"));
export const env = (plan: JobPlan) => text(plan, "litellm.env").trim().split("\n");

import { parse } from "yaml";
import { ConfigError } from "../../configs/kit/problems";
import { parseStack } from "../../configs/parse";
import { planBox } from "../../configs/plan/box";
import type { BoxFiles } from "../../configs/remotes/files";
import { packageDir } from "../../platform/project";
import { loadAssets } from "../../platform/stack/assets";
import { rawStack, recipes, testSecrets } from "./stacks";

export const secrets = {
  ...testSecrets,
  gpu2Key: "sk-PLANTED-gpu2-0123456789",
  gpu3Key: "sk-PLANTED-gpu3-0123456789",
};
export const reachable = { bind: "100.64.0.2", hosts: ["gpu2.tailnet.ts.net"] };
export const coder = {
  ...{ engine: "vllm", model: "hf://Qwen/Qwen3-Coder-30B", maxModelLen: 32_768, aliases: ["local"] },
  gpu: { devices: [0], memoryGiB: 20 },
};
export const far = { engine: "openai", baseUrl: "http://10.0.0.9/v1" };
export const gpu2 = { host: { gpus: [{ id: 0, memoryGiB: 48 }] }, gateway: reachable, models: { coder } };
export const gpu3 = { ...gpu2, gateway: { bind: "100.64.0.3", port: 4100 } };
export const key = { secret: "gpu2Key" };
export const key3 = { secret: "gpu3Key" };

export type Values = Record<string, unknown>;

/** Stack files by name; none of them has secrets. */
export function files(values: Record<string, Values>): BoxFiles {
  const read = Object.entries(values).map(([stack, own]) => [stack, { values: own, secrets: [] }]);
  return Object.fromEntries(read);
}

/** The config of a stack that is called gw. */
export function config(values: Values, boxFiles: BoxFiles) {
  return parseStack({ ...rawStack(values, secrets), stack: "gw", boxFiles });
}

/** What its gateways' config.yaml says of the models. */
export function deployments(values: Values, boxFiles: BoxFiles) {
  const plan = planBox({
    config: config(values, boxFiles),
    secrets: rawStack({}, secrets).secrets,
    saltFingerprint: "",
    resolved: recipes,
    assets: loadAssets(packageDir),
  });
  expect(plan.backends).toEqual([]);
  const [text] = plan.gateway.directory.files["config.yaml"]!.text;
  return parse(text as string).model_list as {
    model_name: string;
    litellm_params: Values;
    model_info: Values;
  }[];
}

/** `path: what fix` of every mistake. */
export function mistakes(values: Values, boxFiles: BoxFiles): string[] {
  try {
    config(values, boxFiles);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, what, fix }) => `${path}: ${what} ${fix}`);
  }
}

import { parse } from "yaml";
import type { BoxPlan } from "../kit/types";

/** A plan's config.yaml of LiteLLM, as LiteLLM reads it: secrets are names of environment variables in it. */
export function gatewayYaml({ gateway }: BoxPlan): unknown {
  const { text } = gateway.directory.files["config.yaml"]!;
  return parse(text.filter((part) => typeof part === "string").join(""));
}

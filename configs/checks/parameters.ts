import { isSteering } from "../bodies/kept";
import type { Problem } from "../kit/problems";
import type { StackConfig } from "../stack/config";

/** Mistakes in the extra parameters that request bodies may contain. */
export function checkParameters({ gateway }: StackConfig): Problem[] {
  return gateway.allowParameters.filter(isSteering).map((name) => ({
    path: "gpubox:gateway.allowParameters",
    what: `"${name}" steers LiteLLM itself, and any client could send it.`,
    fix: "Remove it; what it sets is a setting of the model or of the gateway.",
  }));
}

import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { ServicePlan, StepPlan } from "../configs/kit/containerPlan";
import { OPEN, standInSteps } from "../configs/kit/steps";
import { renderText, type SecretValues } from "../configs/kit/text";
import type { Host } from "./Host";

/**
 * The stand-in of a model server that is about to be replaced. It runs when the server's plan changes, before the container is
 * touched: if it fails, the server serves on and `up` fails with the reason.
 */
export function beside(
  name: string,
  { host, plan, secrets }: { host: Host; plan: ServicePlan; secrets: pulumi.Output<SecretValues> },
  { script, stdin = [], triggers }: StepPlan,
  opts: pulumi.CustomResourceOptions,
): local.Command {
  const { environment, seconds } = standInSteps(host.prefix, plan);
  return new local.Command(
    name,
    {
      create: script,
      // Other words of the same step are no reason to run it.
      update: "true",
      // A stand-in of a change that failed may still serve. It must not outlive the box, and the server gets its requests back.
      delete: [
        'docker inspect "$GPUBOX_NEXT" >/dev/null 2>&1 || exit 0',
        OPEN,
        'docker rm -f "$GPUBOX_NEXT" >/dev/null 2>&1 || true',
      ].join("\n"),
      stdin: pulumi.secret(secrets.apply((values) => renderText(stdin, values))),
      environment: { ...host.environment, ...environment },
      triggers,
      addPreviousOutputInEnv: false,
    },
    { ...opts, customTimeouts: { create: `${seconds}s` } },
  );
}

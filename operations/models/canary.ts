import type { BoxPlan } from "../../configs/kit/types";
import { type CanaryVerdict, sayToCanary } from "../../configs/plan/canary";
import { valveName } from "../../configs/plan/valve";
import { dockerAt } from "../../platform/docker/client";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";

/** What `up` does with the new server next. */
const NEXT: Record<CanaryVerdict, string> = {
  promote: "takes all requests now; `up` goes on",
  revert: "is refused; `up` ends it once its requests are answered",
};

/**
 * Decides on the canary of a model, one for each of its instances, before its time is over. The `up` that waits for it acts on it
 * within seconds.
 *
 * @param name a model's public name, or one of its instances'
 * @throws UserError when there is no such model, or no canary of it runs
 */
export async function decideCanary(
  plan: BoxPlan,
  name: string,
  verdict: CanaryVerdict,
  log: Log,
): Promise<void> {
  const backends = plan.backends.filter(({ model, instance }) => [model, instance].includes(name));
  if (backends.length === 0)
    throw new UserError(
      `The stack ${plan.stack} has no model "${name}" with a server of its own.`,
      `Name one of these: ${[...new Set(plan.backends.map(({ model }) => model))].join(", ") || "none"}.`,
    );
  let decided = false;
  for (const { instance } of backends) {
    const env = { GPUBOX_VALVE: `${plan.prefix}-${valveName(instance)}` };
    const { code } = await dockerAt(plan.docker).script(sayToCanary(verdict), { env });
    if (code !== 0) continue;
    decided = true;
    log(`The canary of ${instance} ${NEXT[verdict]}`);
  }
  if (!decided)
    throw new UserError(
      `No canary of ${name} runs.`,
      `One runs while \`gpubox up\` waits for it: after a change of a server whose entry has \`canary\`.`,
    );
}

import { endpointOf } from "../configs/plan/box";
import type { StackConfig } from "../configs/schema/stack";
import type { Log } from "./project";
import type { Secrets } from "./secrets";
import { smoke } from "./smoke";

/**
 * Asks a box for everything that its stack declares: each model on both protocols. An alias, and a model that is started by
 * hand, only has to be listed.
 */
export async function smokeStack(config: StackConfig, secrets: Secrets, log: Log): Promise<void> {
  const models = Object.entries(config.models).flatMap(([name, model]) => [
    model.start === "manual" ? { name, protocols: [] } : { name },
    ...model.aliases.map((alias) => ({ name: alias, protocols: [] })),
  ]);
  const key = config.gateway.auth === "key" ? secrets.masterKey : undefined;
  await smoke({ endpoint: endpointOf(config), key, models, log });
}

import { bindHost, endpointOf } from "../configs/plan/box";
import { namesOf } from "../configs/plan/instances";
import type { StackConfig } from "../configs/schema/stack";
import type { Log } from "./project";
import type { Secrets } from "./secrets";
import { smoke } from "./smoke";
import { lookAtCertificate, tlsFetch } from "./tlsBox";

/**
 * Asks a box for everything that its stack declares: each model on both protocols. An alias, a model that is started by
 * hand, and one that does not chat only have to be listed.
 */
export async function smokeStack(config: StackConfig, secrets: Secrets, log: Log): Promise<void> {
  const models = Object.entries(config.models).flatMap(([name, model]) =>
    namesOf(name, model).map((listed) =>
      listed === name && model.start === "auto" && model.mode === "chat"
        ? { name }
        : { name: listed, protocols: [] },
    ),
  );
  const key = config.gateway.auth === "key" ? secrets.masterKey : undefined;
  const endpoint = endpointOf(config);
  const box = { endpoint, address: bindHost(config) };
  const tls = config.gateway.tls && { certificate: () => lookAtCertificate(box), fetch: tlsFetch(box) };
  await smoke({ endpoint, key, models, tls, log });
}

import type { Mode } from "../../configs/schema/model";
import type { StackConfig } from "../../configs/stack/config";
import { namesOf } from "../../configs/stack/instances";
import { isForMany, openedIn } from "../../configs/stack/wildcards";
import { type BoxWays, waysToHost } from "../../platform/box/ways";
import type { Log } from "../../platform/project";
import type { Secrets } from "../../platform/stack/secrets";
import type { SmokeProtocol } from "./routes";
import { requirePassed, type SmokeCheck, smoke } from "./smoke";
import { lookAtCertificate, tlsFetch } from "./tlsBox";

/** Speech needs a voice that only its model knows, a transcription needs speech, and a picture costs minutes or money. */
const PROTOCOLS: Record<Mode, SmokeProtocol[]> = {
  chat: ["chat", "completions", "messages"],
  completion: ["completions"],
  embedding: ["embeddings"],
  rerank: ["rerank"],
  audio_transcription: [],
  audio_speech: [],
  image_generation: [],
  moderation: [],
};

/**
 * Asks a box for everything that its stack declares: each model by the protocols of its mode. Aliases and models that a
 * person starts only have to be listed.
 *
 * @param ways to the box. Default: those to its host
 */
export async function smokeChecks(
  config: StackConfig,
  secrets: Secrets,
  log: Log,
  ways?: BoxWays,
): Promise<SmokeCheck[]> {
  const single = Object.entries(config.models).filter(([name]) => !isForMany(name));
  const models = single.flatMap(([name, model]) =>
    namesOf(name, model).map((listed) => ({
      name: listed,
      protocols: listed === name && model.start === "auto" ? PROTOCOLS[model.mode] : [],
    })),
  );
  const key = config.gateway.auth === "key" ? secrets.masterKey : undefined;
  const { endpoint, clients, admin } = ways ?? (await waysToHost(config));
  const box = { endpoint, ...clients };
  const tls = config.gateway.tls && { certificate: () => lookAtCertificate(box), fetch: tlsFetch(box) };
  // Where the edge adds the key, clients have none of their own.
  const keys = config.database.mode === "none" || !key ? undefined : { admin: await admin(), masterKey: key };
  return smoke({ endpoint, key, keys, models, opens: openedIn(config.models), tls, gate: true, log });
}

/**
 * Like `smokeChecks`, for a box that has to be well.
 *
 * @throws UserError that lists every failed check with the server's own words
 */
export async function smokeStack(config: StackConfig, secrets: Secrets, log: Log): Promise<SmokeCheck[]> {
  const checks = await smokeChecks(config, secrets, log);
  requirePassed(checks);
  return checks;
}

import { engineOf } from "../../configs/engines";
import { cut, visible } from "../../configs/kit/visible";
import { lockedModel } from "../../configs/models/lock";
import { HUB_TOKEN } from "../../configs/models/weights";
import { textWithoutSecrets } from "../../configs/policy/plaintext";
import type { StackConfig } from "../../configs/stack/config";
import { instancesOf } from "../../configs/stack/instances";
import { secretsOf } from "../../configs/stack/optionalModels";
import { code } from "./markdown";
import type { Destination, DestinationChange, Side } from "./types";

/** Longest address to show next to its host, in characters. */
const LONGEST = 200;

/** Changes of where requests go, and with which keys. */
export function destinationChanges(before: Side | undefined, after: Side): DestinationChange[] {
  const [a, b] = [before ? destinationsOf(before) : {}, destinationsOf(after)];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((who): DestinationChange[] => {
    if (JSON.stringify(a[who]) === JSON.stringify(b[who])) return [];
    return [{ who, ...(a[who] ? { before: a[who] } : {}), ...(b[who] ? { after: b[who] } : {}) }];
  });
}

/** Every part of a box that sends something to a server outside the box. */
function destinationsOf(side: Side): Record<string, Destination> {
  return {
    ...modelDestinations(side),
    ...jobDestinations(side.config),
    ...otherDestinations(side),
  };
}

function modelDestinations({ config, lock }: Side): Record<string, Destination> {
  return Object.fromEntries(
    Object.entries(config.models).flatMap(([name, entry]) =>
      instancesOf(name, entry).flatMap(({ id, model }) => {
        const engine = engineOf(model);
        if (engine.container) return [];
        const locked = lockedModel(lock, model.model ?? "");
        const { model: route, apiBase, apiKey, params, secrets } = engine.route(model, { name, locked }, "");
        const provider = route.slice(0, route.indexOf("/"));
        const place = Object.values(params ?? {}).join(", ");
        const to = apiBase ? addressOf(apiBase) : `${provider}'s own address${place ? `, ${place}` : ""}`;
        const own = apiKey === "backend" ? undefined : apiKey;
        const keys = secretsOf([own, Object.values(secrets ?? {}), model.params]);
        return [[`model ${code(id)}`, { to, keys: namesOf(keys) }]];
      }),
    ),
  );
}

function jobDestinations({ jobs }: StackConfig): Record<string, Destination> {
  return Object.fromEntries(
    Object.entries(jobs).flatMap(([name, { upstream }]) => {
      if ("box" in upstream) return [];
      const to = addressOf(upstream.baseUrl);
      return [[`job ${code(name)}`, { to, keys: namesOf(secretsOf(upstream)) }]];
    }),
  );
}

function otherDestinations({ config, secrets }: Side): Record<string, Destination> {
  const { gateway, observability, cache, database, host, jobs } = config;
  const found: Record<string, Destination> = {};
  const { langfuse, alerts } = observability;
  if (langfuse)
    found["traces with prompts and answers"] = {
      to: addressOf(langfuse.host),
      keys: namesOf(secretsOf(langfuse)),
    };
  if (alerts.webhook) found.alerts = inSecret(alerts.webhook.secret);
  if (cache.url) found["the cache"] = inSecret(cache.url.secret);
  if (database.url) found["the database"] = inSecret(database.url.secret);
  const variables = [
    ["gateway", gateway.env],
    ...Object.entries(jobs).map(([name, { extra }]) => [name, extra]),
  ];
  for (const [owner, env] of variables as [string, Record<string, unknown>][])
    for (const { name, path } of secretsOf(env))
      found[`variable ${code(path.slice(1))} of ${code(owner)}`] = {
        to: "the callback or provider that reads it",
        keys: [name],
      };
  if (host.modelHub !== "https://huggingface.co")
    found["downloads of models"] = {
      to: addressOf(host.modelHub),
      keys: HUB_TOKEN in secrets ? [HUB_TOKEN] : [],
    };
  return found;
}

function inSecret(secret: string): Destination {
  return { to: "the address in the secret", keys: [secret] };
}

function namesOf(secrets: { name: string }[]): string[] {
  return [...new Set(secrets.map(({ name }) => name))].sort();
}

/** The host first, because a long address may begin with something that looks like another host. */
function addressOf(url: string): string {
  const shown = cut(visible(textWithoutSecrets(url)), LONGEST);
  return URL.canParse(url) ? `${new URL(url).host} (${shown})` : shown;
}

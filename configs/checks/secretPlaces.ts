import type { Problem } from "../kit/problems";
import type { SecretFacts } from "../secrets/facts";
import { generatedSecrets, type StackConfig } from "../stack/config";
import { secretsOf } from "../stack/optionalModels";

/** Secrets that always belong to the box itself; no place in the config names them. */
export const RESERVED = [...generatedSecrets, "previousMasterKey"] as const;

/** A place whose secret stays in the box, or goes only to the address that it is meant for. */
interface OwnPlace {
  /** Of the place, without the section's `gpubox:`. */
  path: RegExp;
  /** What the secret is there. */
  is: string;
  /** The value leaves the box: it may not be one of the box's other secrets either. */
  leaves?: true;
}

/**
 * The only places whose secret is not sent to a foreign address. Every other place that takes `{ secret: name }` counts as
 * sending it away, so that a newly added place is guarded by default.
 */
const OWN_PLACES: OwnPlace[] = [
  { path: /^access\.keys\..+\.(key|previous)$/, is: "a virtual key of this box" },
  { path: /^access\.ui\.password$/, is: "the password of LiteLLM's UI" },
  { path: /^models\..+\.expose\.key$/, is: "the key of a model's published port" },
  { path: /^jobs\..+\.key$/, is: "the key of a job's clients" },
  { path: /^backup\.restic\.password$/, is: "the password of the backups" },
  { path: /^gateway\.tls\.(certificate|key)$/, is: "the box's certificate or its key" },
  { path: /^cache\.url$/, is: "the address of Redis, with its password", leaves: true },
  { path: /^database\.tls\.(authority|certificate|key)$/, is: "a certificate of the database's, or its key" },
  { path: /^database\.url$/, is: "the address of Postgres, with its password", leaves: true },
  { path: /^observability\.alerts\.webhook$/, is: "the address that alerts go to", leaves: true },
];

interface Named {
  name: string;
  path: string;
  own?: OwnPlace;
}

/** Secrets of the box that the config would send to a foreign address. */
export function checkSecretPlaces(config: StackConfig, secrets: SecretFacts): Problem[] {
  const named = placesOf(config);
  return named.flatMap((place) => {
    const { name, path, own } = place;
    if (own && !own.leaves) return [];
    const what = sameValue(name, secrets)
      .map((one) => ownUse(one, place, named))
      .find((use) => use !== undefined);
    if (!what) return [];
    return [
      {
        path: `gpubox:${path}`,
        what: `The secret ${name} is ${what}, and this place sends it to another server.`,
        fix: "Set a secret of its own for that server and name it here: pulumi config set --secret gpubox:<name>.",
      },
    ];
  });
}

function placesOf({ stack: _, ...sections }: StackConfig): Named[] {
  return secretsOf(sections).map(({ name, path }) => {
    const at = path.slice(1);
    return { name, path: at, own: OWN_PLACES.find((place) => place.path.test(at)) };
  });
}

/** The secret's role in the box, other than at `place`; undefined when only foreign servers use it. */
function ownUse(name: string, place: Named, named: Named[]): string | undefined {
  if (RESERVED.some((one) => one === name)) return "one that the box makes for itself";
  return named.find(
    (other) => other.name === name && other.own && other.own !== place.own && !servesItself(place, other),
  )?.own?.is;
}

/** A gateway outside the box may reach a model on its published port, with that port's key. */
function servesItself(place: Named, other: Named): boolean {
  const [, model] = /^(models\..+)\.profiles\.[^.]+\.apiKey$/.exec(place.path) ?? [];
  if (model === undefined || !other.path.startsWith(model)) return false;
  return /^(\.instances\[\d+\])?\.expose\.key$/.test(other.path.slice(model.length));
}

/** The names of all secrets that are known to have the value of this one, itself first. */
function sameValue(name: string, secrets: SecretFacts): string[] {
  const same = [name];
  for (const one of same)
    for (const [other, { sameAs }] of Object.entries(secrets)) {
      const linked = sameAs === one || secrets[one]?.sameAs === other;
      if (linked && !same.includes(other)) same.push(other);
    }
  return same;
}

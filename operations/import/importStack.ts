import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { sshAddress, unixSocket } from "../../configs/schema/address";
import { secretFacts } from "../../configs/secrets/facts";
import type { StackConfig } from "../../configs/stack/config";
import { UserError } from "../../platform/process";
import { entries, type Kind, kindOf, variablesBeside, yamlFile } from "./collect";
import { openCompose } from "./compose";
import { type ReadContainers, readContainers } from "./containers";
import { servicesOf } from "./dockerHost";
import { Draft, OWN_SECRETS } from "./draft";
import { gpusHere, type HostGpus } from "./gpus";
import { pinToCache, readHub, readOllama } from "./heldModels";
import { Input } from "./input";
import { childrenOf, Ledger, type Loss, pathText } from "./ledger";
import { readLitellm } from "./litellm";
import { readVariables } from "./litellmSettings";
import { readLlamaSwap } from "./llamaSwap";
import { type Route, routesOf } from "./routes";
import { settle } from "./settle";
import { type Kept, stackFile, type Untold } from "./stackFile";
import { cachedRepositories, ollamaModels, ollamaTags } from "./stores";
import { giveOtherPorts, switchPlan } from "./switchPlan";
import { type Variables, variablesIn } from "./values";

/** One thing that was read, with its account. */
export interface Account {
  /** As people call it: a file's name, `docker`. */
  name: string;
  ledger: Ledger;
  /** The place of a value, for what has lines. Default: the source's name. */
  place?: Place;
}

type Place = (path: Loss["path"]) => string;

export interface Imported {
  /** Text of the stack file, without any secret. */
  text: string;
  config: StackConfig;
  routes: Route[];
  untold: Untold[];
  /** Steps from the old setup to the new one. */
  steps: string[];
  /** Values of secrets that the sources have, by the secret's name. Never printed. */
  secrets: Record<string, string>;
  /** Secrets that the stack names and nothing here has, with where the old setup had them. */
  missing: Record<string, string>;
}

/**
 * Reads sources into the text of a stack file. Writes nothing, and starts and stops nothing.
 *
 * @throws UserError for a source that cannot be read or understood, with file, line and column
 */
export async function importStack(
  sources: string[],
  { stack, from, kept }: { stack: string; from?: Kind; kept?: Kept },
): Promise<Imported> {
  const draft = new Draft();
  const accounts: Account[] = [];
  const host = await gpusHere();
  for (const source of sources) accounts.push(...(await READERS[kindOf(source, from)](source, draft, host)));
  return finish(draft, accounts, stack, kept);
}

/** Makes the stack file of a draft: what gpubox refuses is taken out and told. */
export function finish(draft: Draft, accounts: Account[], stack: string, kept?: Kept): Imported {
  giveOtherPorts(draft);
  const ledgers = accounts.map(({ ledger }) => ledger);
  forgetUnfit(draft, ledgers);
  const config = settle(draft, ledgers, stack);
  const untold = accounts.flatMap(({ name, ledger, place = () => name }) =>
    ledger.losses().map(({ path, why, home }) => ({ what: `${place(path)} ${pathText(path)}`, why, home })),
  );
  const names = accounts.map(({ name }) => name);
  if (Object.keys(config.models).length === 0) throw nothingFound(names, untold, draft);
  const named = namedSecrets(draft);
  const secrets = [...draft.secrets].filter(([name]) => named.has(name));
  return {
    text: stackFile(draft, untold, { sources: names, secrets, kept }),
    config,
    routes: routesOf(draft, config),
    untold,
    steps: switchPlan(draft, config, stack),
    secrets: Object.fromEntries(
      secrets.flatMap(([name, { value }]) => (value === undefined ? [] : [[name, value]])),
    ),
    missing: Object.fromEntries(
      secrets.flatMap(([name, { value, from }]) => (value === undefined ? [[name, from]] : [])),
    ),
  };
}

/** Secrets that the stack file names, and those that every stack knows. Others belonged to what did not come over. */
function namedSecrets(draft: Draft): Set<string> {
  const named = new Set(OWN_SECRETS);
  const visit = (value: unknown): void => {
    for (const [key, inner] of childrenOf(value))
      if (key === "secret" && typeof inner === "string") named.add(inner);
      else visit(inner);
  };
  visit([draft.models, draft.sections]);
  return named;
}

/** A master key that gpubox would refuse: `up` makes a better one. */
function forgetUnfit(draft: Draft, ledgers: Ledger[]): void {
  const value = draft.secrets.get("masterKey")?.value;
  const flaw =
    value === undefined ? undefined : secretFacts({ masterKey: value }, () => true).masterKey?.flaw;
  if (flaw === undefined) return;
  draft.secrets.delete("masterKey");
  Ledger.refuse(ledgers, "gpubox:masterKey", `it ${flaw}; \`up\` makes a new one, which clients need`);
}

function nothingFound(names: string[], untold: Untold[], draft: Draft): UserError {
  const [first] = [...untold.filter(({ why }) => why.startsWith("no entry was made")), ...untold];
  return new UserError(
    `Nothing in ${names.join(", ")} became a model.`,
    first
      ? draft.masked(`The first reason: ${first.what}: ${first.why.replace(/\.$/, "")}.`)
      : "Name another source.",
  );
}

type Reader = (source: string, draft: Draft, host: HostGpus) => Promise<Account[]> | Account[];

const USUAL_ENGINE = "unix:///var/run/docker.sock";

const READERS: Record<Kind, Reader> = {
  litellm: (source, draft) => [litellmAccount(source, draft)],
  compose(source, draft, host) {
    const read = yamlFile(source);
    const folder = dirname(resolve(source));
    const { services, ledger } = openCompose(read, variablesBeside(source));
    const about = { draft, folder, host, file: source };
    const own = { name: read.file, ledger, place: read.place };
    return [own, ...afterContainers(readContainers(services, about), about)];
  },
  async docker(source, draft, host) {
    const address = source === "docker" ? USUAL_ENGINE : source;
    const { input, ledger } = Input.open(await servicesOf(address));
    const here = unixSocket(address) !== undefined;
    // What is on this machine says nothing of another one.
    const about = { draft, folder: "/", host: here ? host : undefined };
    const read = readContainers(input.children(), about);
    if (address !== USUAL_ENGINE) {
      draft.engine = address;
      if (here || sshAddress(address)) draft.set("host", ["docker"], address);
    }
    return [{ name: "docker", ledger }, ...afterContainers(read, about, here ? existsSync : () => false)];
  },
  "llama-swap"(source, draft, host) {
    const read = yamlFile(source);
    return [
      {
        name: read.file,
        place: read.place,
        ledger: readLlamaSwap(read, draft, variablesBeside(source), host),
      },
    ];
  },
  async ollama(source, draft, host) {
    const remote = /^https?:/.test(source);
    const names = remote ? await ollamaTags(source) : ollamaModels(source);
    return [{ name: source, ledger: readOllama(names, remote ? undefined : resolve(source), draft, host) }];
  },
  hub: (source, draft, host) => [
    { name: source, ledger: readHub(cachedRepositories(resolve(source)), draft, host) },
  ],
};

function litellmAccount(path: string, draft: Draft, read?: ReadContainers, env?: Variables): Account {
  const { file, value, place } = yamlFile(path, true);
  const { input, ledger } = Input.open(value);
  const variables = new Map([...variablesBeside(path), ...(env ?? [])]);
  readLitellm(input, draft, variables, read?.local);
  return { name: file, ledger, place };
}

/**
 * What containers lead to: the config of their gateway, the weights that the host has.
 *
 * @param exists whether a path of their host can be read here
 */
function afterContainers(
  read: ReadContainers,
  { draft, host }: { draft: Draft; host: HostGpus },
  exists: (path: string) => boolean = existsSync,
): Account[] {
  const ollamas = read.ollamas.flatMap(({ models, input, container }) => {
    if (!exists(join(models, "manifests"))) {
      input.lose(`${models} has no models that can be read here; import Ollama's own address`);
      return [];
    }
    input.at("volumes")?.carry("gpubox:models");
    input.at("image")?.carry("gpubox:models");
    const before = Object.keys(draft.models);
    const ledger = readOllama(ollamaModels(models), models, draft, host);
    const [model] = Object.keys(draft.models).filter((name) => !before.includes(name));
    if (model !== undefined) draft.containers.push({ ...container, model });
    return [{ name: models, ledger }];
  });
  for (const folder of [...new Set(read.hubs)]) {
    const hub = [folder, join(folder, "hub")].find(
      (one) => exists(one) && entries(one).some((name) => name.startsWith("models--")),
    );
    if (hub) pinToCache(cachedRepositories(hub), draft);
  }
  const gateways = read.gateways.flatMap(({ path, env, input, volume }) => {
    const readable = exists(path);
    if (readable) volume?.carry("gpubox:gateway");
    if (!readable) input.lose(`its config ${path} is not on this machine; import it from where it is`);
    const account = readable ? [litellmAccount(path, draft, read, variablesIn(env))] : [];
    if (env) readVariables(env, draft, variablesIn(env));
    return account;
  });
  return [...ollamas, ...gateways];
}

import { engineOf } from "../engines";
import type { Problem } from "../kit/problems";
import { pointers } from "../litellm/pointers";
import { POOLED_CONNECTIONS } from "../litellm/pool";
import { isLoopback, isWildcard } from "../network/addresses";
import { urlProblems } from "../network/url";
import { checkRecipes } from "../recipes/notes";
import { sshAddress, unixSocket } from "../schema/address";
import type { SecretFacts } from "../secrets/facts";
import { storeExample } from "../secrets/storeUrl";
import { generatedSecrets, type StackConfig } from "../stack/config";
import { instancesOf, modelSlug } from "../stack/instances";
import { optionalSecrets } from "../stack/optionalModels";
import { adminPort } from "../stack/ports";
import { checkProfiles } from "../stack/profiles";
import { generatedKeys, requiredSecrets } from "../stack/requiredSecrets";
import { checkAccess } from "./access";
import { checkDatabaseTls } from "./databaseTls";
import { checkForeignNetworks } from "./foreignNetworks";
import { checkGroups } from "./groups";
import { checkGuardrails } from "./guardrails";
import { checkJobs } from "./jobs";
import { checkLimits } from "./limits";
import { checkModelMaps } from "./modelMaps";
import { checkNodes } from "./nodes";
import { checkObservability } from "./observability";
import { checkParameters } from "./parameters";
import { checkPassThrough } from "./passThrough";
import { checkPorts } from "./ports";
import { checkRouting } from "./routing";
import { checkSecretPlaces } from "./secretPlaces";
import { checkEnvironment, checkSettings } from "./settings";
import { checkSlots } from "./slots";
import { pemSecrets } from "./tls";
import { checkWildcards } from "./wildcards";

/** Mistakes that need the whole config to be found. */
export function checkStack(config: StackConfig, secrets: SecretFacts, secretsFile?: string): Problem[] {
  return [
    ...checkHost(config),
    ...checkGateway(config),
    ...checkSettings(config),
    ...checkEnvironment(config),
    ...checkGuardrails(config),
    ...checkPassThrough(config),
    ...checkParameters(config),
    ...checkRouting(config),
    ...checkLimits(config),
    ...checkModelMaps(config),
    ...checkWildcards(config),
    ...checkProfiles(config),
    ...checkPool(config),
    ...checkForeignNetworks(config),
    ...checkStores(config, secrets),
    ...checkDatabaseTls(config, secrets),
    ...checkNames(config),
    ...checkPorts(config),
    ...checkSlots(config),
    ...checkGroups(config),
    ...checkNodes(config.models),
    ...checkRecipes(config),
    ...checkAccess(config, secrets),
    ...checkObservability(config, secrets),
    ...checkJobs(config),
    ...checkSecrets(config, secrets, secretsFile),
    ...checkSecretPlaces(config, secrets),
    ...checkPointers(config),
  ];
}

/** Checks every text: most texts reach LiteLLM's config, and no other text needs such a reference. */
function checkPointers({ stack: _, ownFiles: __, ...sections }: StackConfig): Problem[] {
  return pointers(sections, "gpubox:");
}

function checkHost({ host }: StackConfig): Problem[] {
  const login = "Leave it out: `gpubox models lock` and the downloads take a token, never a login.";
  const problems = urlProblems(host.modelHub, "gpubox:host.modelHub", { kind: "root", login });
  for (const key of ["identityFile", "knownHosts", "jump"] as const)
    if (host[key] !== undefined && !sshAddress(host.docker))
      problems.push({
        path: `gpubox:host.${key}`,
        what: "It means something only for a host behind SSH.",
        fix: "Write docker: ssh://user@host, or leave it out.",
        judgedBy: { paths: ["gpubox:host.docker"] },
      });
  const socket = sshAddress(host.docker)?.socket ?? unixSocket(host.docker) ?? "";
  if (/^(\/var)?\/run\/user\/|podman/.test(socket))
    problems.push({
      path: "gpubox:host.docker",
      what: `${socket} is the socket of ${socket.includes("podman") ? "Podman" : "an engine without root"}, which cannot carry a box: its containers do not come back by themselves, and users, limits and firewall rules need Docker as a service of the system.`,
      fix: "Leave the socket out, and run `gpubox host prepare` for a Docker of the system's.",
    });
  const ids = host.gpus.map(({ id }) => String(id));
  for (const [index, id] of ids.entries())
    if (ids.indexOf(id) !== index)
      problems.push({
        path: `gpubox:host.gpus[${index}].id`,
        what: `The device ${id} is declared twice.`,
        fix: "Declare each device once.",
      });
  return problems;
}

function checkGateway(config: StackConfig): Problem[] {
  const { gateway } = config;
  const problems: Problem[] = [];
  const admin = adminPort(config);
  if (admin === gateway.port || admin > 65535)
    problems.push({
      path: "gpubox:gateway.adminPort",
      what: `The admin port ${admin} ${admin > 65535 ? "does not exist" : "is the clients' port"}.`,
      fix: "Give it a free port of its own, for example 4001.",
    });
  if (gateway.auth === "none" && !isLoopback(gateway.bind))
    problems.push({
      path: "gpubox:gateway.auth",
      what: `Without keys, everybody who reaches ${gateway.bind} could use the models.`,
      fix: "Write auth: key, or bind: 127.0.0.1.",
    });
  if (isWildcard(gateway.bind) && gateway.hosts.length === 0)
    problems.push({
      path: "gpubox:gateway.hosts",
      what: "The gateway listens on every address but accepts no host name from outside.",
      fix: "List the names or addresses that clients use, for example [framework, 192.168.1.5].",
    });
  if (gateway.replicas !== "auto" && gateway.replicas > 1 && config.cache.mode === "none")
    problems.push({
      path: "gpubox:gateway.replicas",
      what: "Several gateways need Redis: without it each counts limits and failures for itself.",
      fix: "Write gpubox:cache mode: bundled, or replicas: 1.",
    });
  return problems;
}

/** During a change two generations run side by side, and each replica has its own pool. */
function checkPool({ gateway }: StackConfig): Problem[] {
  const pool = gateway.settings.general.database_connection_pool_limit;
  const replicas = gateway.replicas === "auto" ? 1 : gateway.replicas;
  const most = Math.floor(POOLED_CONNECTIONS / (2 * replicas));
  if (typeof pool !== "number" || pool <= most) return [];
  return [
    {
      path: "gpubox:gateway.settings.general.database_connection_pool_limit",
      what: `2 generations of ${replicas} gateways with ${pool} connections each are more than Postgres takes.`,
      fix: `Write at most ${most}, or leave it out.`,
    },
  ];
}

function checkStores(config: StackConfig, secrets: SecretFacts): Problem[] {
  const problems: Problem[] = [];
  for (const [section, scheme] of [
    ["cache", "redis://"],
    ["database", "postgresql://"],
  ] as const) {
    const { mode, url } = config[section];
    if (mode === "external" && !url)
      problems.push({
        path: `gpubox:${section}.url`,
        what: "An external server needs its URL.",
        fix: `Put the ${scheme} URL into a secret and write url: { secret: ${section}Url }.`,
        // Keys like host and port say the same mistake.
        judgedBy: { paths: [`gpubox:${section}`] },
      });
    const unfit = url && secrets[url.secret]?.unfitAs?.[section];
    if (mode === "external" && unfit)
      problems.push({
        path: `gpubox:${section}.url`,
        what: `The secret ${url.secret} ${unfit}.`,
        fix: `Set ${storeExample(section)}, with the login percent-encoded: pulumi config set --secret gpubox:${url.secret}.`,
      });
    if (mode !== "external" && url)
      problems.push({
        path: `gpubox:${section}.url`,
        what: `A URL has no use with mode: ${mode}.`,
        fix: "Remove it, or write mode: external.",
        judgedBy: { paths: [`gpubox:${section}.mode`] },
      });
  }
  const { cache } = config;
  if (cache.mode === "none" && cache.ttlSeconds && cache.type === "redis")
    problems.push({
      path: "gpubox:cache.ttlSeconds",
      what: "Answers cannot be cached without Redis.",
      fix: "Remove ttlSeconds, or write mode: bundled, or type: local for each gateway's own memory.",
    });
  for (const [key, set] of [
    ["calls", cache.calls !== undefined],
    ["optIn", cache.optIn],
    ["type", cache.type !== "redis"],
  ] as const)
    if (set && !cache.ttlSeconds)
      problems.push({
        path: `gpubox:cache.${key}`,
        what: "It has no use: no answer is cached.",
        fix: "Write ttlSeconds, or remove it.",
        judgedBy: { paths: ["gpubox:cache.ttlSeconds"] },
      });
  return problems;
}

function checkNames({ models }: StackConfig): Problem[] {
  const problems: Problem[] = [];
  const names = new Map<string, string>();
  const slugs = new Map<string, string>();
  const ids = new Set<string>();
  for (const [name, model] of Object.entries(models)) {
    names.set(name, `gpubox:models.${name}`);
    for (const { id, path } of instancesOf(name, model)) {
      const at = `gpubox:models.${name}${path}`;
      const slug = modelSlug(id);
      const other = slugs.get(slug);
      // Servers that run elsewhere need no name of a container.
      if (other && engineOf(model).container)
        problems.push({
          path: at,
          what: `Its container would have the same name as that of "${other}".`,
          fix: "Rename one so that they differ in more than upper case and punctuation.",
        });
      else if (ids.has(id))
        problems.push({
          path: at,
          what: `Its server would be counted as "${id}", like another one.`,
          fix: "Rename the model, or give the instance another `name`.",
        });
      ids.add(id);
      if (engineOf(model).container) slugs.set(slug, id);
    }
  }
  const claim = (name: string, path: string, kind: string) => {
    const owner = names.get(name);
    if (owner)
      problems.push({
        path,
        what: `"${name}" is taken by ${owner}.`,
        fix: `Choose another ${kind}; each name leads to one model.`,
      });
    else names.set(name, path);
  };
  for (const [name, model] of Object.entries(models)) {
    for (const [index, alias] of model.aliases.entries())
      claim(alias, `gpubox:models.${name}.aliases[${index}]`, "alias");
    for (const adapter of engineOf(model).adapters?.(model) ?? [])
      claim(adapter, `gpubox:models.${name} (LoRA ${adapter})`, "name");
  }
  return problems;
}

function checkSecrets(config: StackConfig, secrets: SecretFacts, file?: string): Problem[] {
  const problems: Problem[] = [];
  const generated: readonly string[] = [...generatedSecrets, ...generatedKeys(config.access)];
  const mayBeBlank = optionalSecrets(config);
  const certificates = pemSecrets(config);
  for (const { name, path } of requiredSecrets(config)) {
    if (secrets[name]) continue;
    const make = generated.includes(name) ? " or let `gpubox up` make it" : "";
    const write = file ? ` Without Pulumi: write it into ${file}.` : "";
    problems.push({
      path,
      what: `The secret ${name} is missing.`,
      fix: `Set it: pulumi config set --secret gpubox:${name}${make}.${write}`,
    });
  }
  for (const [name, fact] of Object.entries(secrets)) {
    const path = `gpubox:${name}`;
    const set = `pulumi config set --secret gpubox:${name}`;
    if (!fact.encrypted)
      problems.push({ path, what: "The secret stands in plaintext.", fix: `Set it anew: ${set}.` });
    // A certificate or key has several lines; checkTls judges its content.
    if (fact.pem && certificates.includes(name)) continue;
    if (fact.flaw && !(fact.flaw === "is empty" && mayBeBlank.includes(name)))
      problems.push({ path, what: `The secret ${fact.flaw}.`, fix: `Set another value: ${set}.` });
  }
  if (secrets.saltKey?.sameAs === "masterKey" || secrets.masterKey?.sameAs === "saltKey")
    problems.push({
      path: "gpubox:saltKey",
      what: "The salt key equals the master key, so that the master key could never be rotated.",
      fix: "Set a value of its own before the first `up`: pulumi config set --secret gpubox:saltKey.",
    });
  return problems;
}

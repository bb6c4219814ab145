import type { z } from "zod";
import { planStackGpus } from "./capacity/stack";
import { checkStack } from "./checks/all";
import { checkEntry } from "./checks/entry";
import { addUnreadModel, type Unread, withoutFollowUps } from "./checks/followUps";
import { readable } from "./checks/readable";
import { keysOf } from "./checks/schemaKeys";
import { checkAdmin, checkTls } from "./checks/tls";
import { checkTopKeys } from "./checks/topKeys";
import { zodProblems } from "./checks/zodProblems";
import { type EngineName, engines, type ModelConfig, wantedSources } from "./engines";
import { ConfigError, type Problem, suggestion } from "./kit/problems";
import type { ModelLock } from "./models/facts";
import { lockedModel, lockProblems } from "./models/lock";
import { judgeViolations } from "./policy/judge";
import { plaintextSecrets } from "./policy/plaintext";
import { asProblem } from "./policy/plan";
import { expandBoxes } from "./remotes/expand";
import type { BoxFiles } from "./remotes/files";
import { type Joined, joinedModels } from "./remotes/joins";
import { atItsBox } from "./remotes/paths";
import { checkWorkers } from "./remotes/workers";
import type { HostConfig } from "./schema/host";
import { entryName } from "./schema/shared";
import { type Target, targetSchema } from "./schema/target";
import type { SecretFacts } from "./secrets/facts";
import type { CertificateFiles } from "./secrets/pem";
import { modelsOf, type SectionName, type StackConfig, sections, type Worker } from "./stack/config";
import { instancesOf } from "./stack/instances";
import { checkModules } from "./stack/modules";
import { type OwnFiles, ownTexts, readTexts } from "./stack/ownFiles";
import { modelsOfBox } from "./stack/profiles";

/** A stack config as it stands in the file: keys of the `gpubox` namespace without prefix. */
export interface RawStack {
  stack: string;
  /** Plain values; objects where the file has objects. */
  values: Record<string, unknown>;
  secrets: SecretFacts;
  /** Where a secret goes that Pulumi does not hold. Undefined where the config holds encrypted ones. */
  secretsFile?: string;
  /** `saltFingerprint()` of the salt key that the stack has now; undefined where its value is not known. */
  saltFingerprint?: string;
  /** The files of the stacks that `boxes` leads to. Default: none is there. */
  boxFiles?: BoxFiles;
  /** The files beside the stack file that models and `gateway.modules` name. Default: none is there. */
  ownFiles?: OwnFiles;
  /** The locked facts about the models' files and shapes. */
  lock?: ModelLock;
  /** The certificate files that the config names and this machine can read. */
  hostFiles?: CertificateFiles;
  /** When certificates have to be valid. Default: now. */
  now?: Date;
}

/** Parses and checks a stack config. Throws one `ConfigError` with every mistake, each with its path. */
export function parseStack(raw: RawStack): StackConfig {
  const problems: Problem[] = [];
  const unread: Unread = { paths: [], models: [] };
  const section = <Name extends SectionName>(name: Name): z.infer<(typeof sections)[Name]> => {
    const schema = sections[name] as (typeof sections)[Name];
    const value = raw.values[name] ?? {};
    const result = schema.safeParse(value);
    if (result.success) return result.data as z.infer<(typeof sections)[Name]>;
    const found = zodProblems(result.error.issues, `gpubox:${name}`, value, (path) => keysOf(schema, path));
    problems.push(...found);
    unread.paths.push(...found.map(({ path }) => path));
    // The rest of the section still counts for the checks that see the whole config.
    return readable(schema, value, result.error.issues) as z.infer<(typeof sections)[Name]>;
  };
  const host = section("host");
  const files = raw.ownFiles ?? {};
  const expanded = expandBoxes({ ...raw, boxFiles: raw.boxFiles ?? {} });
  problems.push(...expanded.problems);
  unread.paths.push(...expanded.problems.map(({ path }) => path));
  const around = { host, lock: raw.lock, files, unread };
  const joining = joinedModels(raw.stack, raw.values, raw.boxFiles ?? {});
  problems.push(...joining.problems);
  const config: StackConfig = {
    stack: raw.stack,
    target: parseTarget(raw.values.target, problems),
    host,
    gateway: section("gateway"),
    cache: section("cache"),
    database: section("database"),
    access: section("access"),
    backup: section("backup"),
    bench: section("bench"),
    observability: section("observability"),
    jobs: section("jobs"),
    policy: section("policy"),
    boxes: section("boxes"),
    groups: section("groups"),
    joins: section("joins"),
    kubernetes: section("kubernetes"),
    workers: parseWorkers(joining.joined, around, problems),
    models: parseModels(expanded.values.models, around, problems),
  };
  problems.push(...checkWorkers(raw.stack, host, config.models, raw.boxFiles ?? {}));
  config.ownFiles = ownTexts(config, readTexts(files));
  const keys = checkTopKeys(raw.values, raw.secrets);
  unread.paths.push(...keys.unread);
  problems.push(...keys.problems, ...saltChanged(raw), ...checkModules(config.gateway, files));
  problems.push(...withoutFollowUps(checkStack(config, raw.secrets, raw.secretsFile), unread));
  // Checked here and not only with the plan, because `up` builds images before it plans.
  problems.push(...plaintextProblems(config, problems));
  const certificates = { secrets: raw.secrets, files: raw.hostFiles ?? {}, now: raw.now ?? new Date() };
  const tls = [...checkTls(config, certificates), ...checkAdmin(config, certificates)];
  problems.push(...withoutFollowUps(tls, unread));
  if (raw.lock) {
    problems.push(
      ...lockProblems(
        [...wantedSources(config.models), ...wantedSources(modelsOf(config.workers), "joins")],
        raw.lock,
      ),
    );
    // Adding up memory makes sense only when every entry is valid by itself.
    if (problems.length === 0)
      problems.push(...planStackGpus({ ...config, models: modelsOfBox(config) }, raw.lock).problems);
  }
  if (problems.length > 0) {
    const names = Object.keys(expanded.values.models ?? {});
    const told = problems.map((problem) => atItsBox(problem, expanded.origins, names));
    throw new ConfigError(raw.stack, dedupe(told));
  }
  return config;
}

function parseTarget(value: unknown, problems: Problem[]): Target {
  const result = targetSchema.safeParse(value);
  if (result.success) return result.data;
  problems.push({
    path: "gpubox:target",
    what: `There is no target ${typeof value === "string" ? `"${value}"` : "of this kind"}.`,
    fix: suggestion(String(value), targetSchema.unwrap().options),
  });
  return "host";
}

/** The host and lock that each entry is checked against. */
interface Surroundings {
  host: HostConfig;
  lock?: ModelLock;
  /** Collects the entries that cannot be read. */
  unread: Unread;
  files: OwnFiles;
}

function parseModels(value: unknown, around: Surroundings, problems: Problem[]): Record<string, ModelConfig> {
  const root = "gpubox:models";
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    problems.push({
      path: root,
      what: "It is not a map.",
      fix: "Write one entry a model, its public name first.",
    });
    around.unread.paths.push(root);
    return {};
  }
  const models: Record<string, ModelConfig> = {};
  // Pulumi sorts maps before it hands them over. The order must not change the gateway's generation.
  for (const [name, entry] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const model = parseModel(name, entry, around, problems);
    if (model) models[name] = model;
    else addUnreadModel(around.unread, name, entry);
  }
  return models;
}

/** The entries of models that this host has a rank of. Their mistakes are those of another file, but for the devices. */
function parseWorkers(
  joined: Record<string, Joined>,
  around: Surroundings,
  problems: Problem[],
): Record<string, Worker> {
  const workers: Record<string, Worker> = {};
  for (const [name, { stack, rank, entry }] of Object.entries(joined)) {
    const found: Problem[] = [];
    const path = `gpubox:joins.${name}`;
    const model = parseModel(name, entry, around, found, path);
    problems.push(...found.map((problem) => atItsJoin(problem, path, stack)));
    if (model) workers[name] = { stack, rank, model };
  }
  return workers;
}

function atItsJoin(problem: Problem, path: string, stack: string): Problem {
  const below = problem.path.startsWith(path) ? problem.path.slice(path.length) : undefined;
  if (below === undefined || below.startsWith(".gpu")) return problem;
  return {
    ...problem,
    path,
    what: `Of its entry in Pulumi.${stack}.yaml${below && `, ${below.slice(1)}`}: ${problem.what}`,
  };
}

function parseModel(
  name: string,
  entry: unknown,
  { host, lock, files, unread }: Surroundings,
  problems: Problem[],
  path = `gpubox:models.${name}`,
): ModelConfig | undefined {
  const named = entryName.safeParse(name);
  if (!named.success)
    problems.push({
      path,
      what: `"${name}" cannot be a model's name.`,
      fix: named.error.issues[0]?.message ?? "",
    });
  const engine = (entry as { engine?: unknown } | null)?.engine;
  if (typeof engine !== "string" || !Object.hasOwn(engines, engine)) {
    problems.push(unknownEngine(engine, `${path}.engine`));
    return undefined;
  }
  const { schema, keys } = engines[engine as EngineName];
  const result = schema.safeParse(entry);
  if (!result.success) {
    problems.push(
      ...zodProblems(result.error.issues, path, entry, (at) => (at.length > 0 ? keysOf(schema, at) : keys)),
    );
    return undefined;
  }
  const model: ModelConfig = result.data;
  const locked = lock && lockedModel(lock, model.model ?? "");
  for (const instance of instancesOf(name, model))
    problems.push(
      ...withoutFollowUps(
        checkEntry(instance.model, `${path}${instance.path}`, { host, locked, files }),
        unread,
      ),
    );
  return model;
}

function unknownEngine(engine: unknown, path: string): Problem {
  const known = Object.keys(engines);
  if (typeof engine !== "string")
    return { path, what: "The entry names no engine.", fix: `Write engine: ${known.join(" or ")}.` };
  return { path, what: `There is no engine "${engine}".`, fix: suggestion(engine, known) };
}

/** Plaintext secrets that no other check has reported. */
function plaintextProblems(config: StackConfig, known: Problem[]): Problem[] {
  const refused = judgeViolations(plaintextSecrets(config), config.policy).filter(
    ({ severity }) => severity === "refused",
  );
  return refused.filter(({ path }) => !known.some((problem) => problem.path === path)).map(asProblem);
}

/** The config records the salt key's fingerprint. With another salt key, the database's encrypted values would be unreadable. */
function saltChanged({ values, saltFingerprint }: RawStack): Problem[] {
  const known = values.saltFingerprint;
  if (known === undefined || saltFingerprint === undefined || known === saltFingerprint) return [];
  return [
    {
      path: "gpubox:saltKey",
      what: "The salt key is not the one that this stack began with, and what it encrypted could not be read any more.",
      fix: "Set the old one again (docs/state.md), or delete the database and gpubox:saltFingerprint to begin anew.",
    },
  ];
}

function dedupe(problems: Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter((p) => {
    const key = `${p.path}\n${p.what}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

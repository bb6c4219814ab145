import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, rmSync } from "node:fs";
import { z } from "zod";
import type { GeneratedSecret } from "../../configs/stack/config";
import { UserError } from "../process";
import { ensureProjectFolders, type Log, projectPaths, writePrivateFile } from "../project";
import { findPulumi, type PulumiEngine, pulumiOutput } from "../pulumi/engine";
import { readYaml } from "../userFiles";

/** Secret values by name, without the `gpubox:` prefix. */
export type Secrets = Record<string, string>;

const namespace = "gpubox:";

export interface SecretStore {
  projectDir: string;
  stack: string;
  /** Without an engine the secrets are in `.gpubox/secrets.<stack>.json`. */
  engine: PulumiEngine | undefined;
}

/**
 * Generates the missing ones of `names` and stores them: in the stack's config through the engine, or without one in a
 * file of mode 0600. First moves secrets from such an older file into the config and removes the file, because the salt
 * key must never change. Logs one line for each step that did something, never a value.
 *
 * @returns every secret of the stack, like `readSecrets`
 * @throws UserError when file and stack config contradict each other, and when only an engine can read the stack's
 * secrets
 */
export async function ensureSecrets(
  options: SecretStore & { names: readonly string[]; log: Log },
): Promise<Secrets> {
  const { engine, names, projectDir, stack, log } = options;
  if (engine) await takeOverFile({ ...options, engine });
  else keepPrivate(projectPaths(projectDir).secrets(stack));
  const present = await readSecrets(options);
  // Validation reports a plain-text key in the config; overwriting it is not our task.
  const configured = Object.keys(stackConfig(projectDir, stack));
  const missing = names.filter((name) => present[name] === undefined && !configured.includes(name));
  if (missing.length === 0) return present;
  const fresh = Object.fromEntries(missing.map((name) => [name, generate(name)]));
  if (engine) await store(engine, stack, fresh);
  else writeFile(projectDir, stack, { ...present, ...fresh });
  const howToRead = engine
    ? `\`pulumi config get ${namespace}${missing[0]}\` shows one`
    : `they are in .gpubox/secrets.${stack}.json`;
  log(`  made the secrets ${missing.join(", ")}; ${howToRead}`);
  return { ...present, ...fresh };
}

/**
 * Every secret of the stack in the gpubox namespace: from the file, and through the engine from the stack's config, which
 * counts where both have one.
 *
 * @throws UserError for a wrong passphrase, for a broken file, and when only an engine can read a secret
 */
export async function readSecrets(options: SecretStore): Promise<Secrets> {
  const { engine, projectDir, stack } = options;
  const secrets = readFile(projectDir, stack);
  if (engine) return { ...secrets, ...(await readConfig(engine, stack)) };
  const locked = encryptedNames(projectDir, stack).filter((name) => secrets[name] === undefined);
  if (locked.length > 0)
    throw new UserError(
      `Only a Pulumi engine can read ${locked.map((name) => namespace + name).join(", ")} in Pulumi.${stack}.yaml.`,
      `Install Pulumi, or write ${locked.length === 1 ? "its value" : "their values"} into .gpubox/secrets.${stack}.json.`,
    );
  return secrets;
}

/**
 * Where a stack's secrets are: in its config when that has encrypted ones, which need an engine, otherwise in the file
 * of a box that was brought up without one.
 */
export async function findSecretStore(projectDir: string, stack: string): Promise<SecretStore> {
  const inConfig = encryptedNames(projectDir, stack).length > 0;
  return { projectDir, stack, engine: inConfig ? await findPulumi(projectDir) : undefined };
}

/** People add keys to the file themselves, and an editor may have made it. */
function keepPrivate(path: string): void {
  if (existsSync(path)) chmodSync(path, 0o600);
}

/** Keys begin with `sk-`, as clients of the OpenAI protocol expect; passwords go into URLs without any encoding. */
function generate(name: string): string {
  const passwords: string[] = ["cachePassword", "databasePassword"] satisfies GeneratedSecret[];
  const random = randomBytes(32).toString("base64url");
  return passwords.includes(name) ? random : `sk-${random}`;
}

async function takeOverFile(options: SecretStore & { engine: PulumiEngine; log: Log }): Promise<void> {
  const { engine, projectDir, stack, log } = options;
  const file = readFile(projectDir, stack);
  const path = projectPaths(projectDir).secrets(stack);
  if (Object.keys(file).length === 0) return;
  const config = await readConfig(engine, stack);
  const contradicting = Object.keys(file).filter(
    (name) => config[name] !== undefined && config[name] !== file[name],
  );
  if (contradicting.length > 0)
    throw new UserError(
      `${contradicting.join(", ")} in .gpubox/secrets.${stack}.json differ${contradicting.length === 1 ? "s" : ""} from Pulumi.${stack}.yaml.`,
      "Delete the file if Pulumi converged this box last. Otherwise remove those keys from the stack's config.",
    );
  await store(engine, stack, file);
  rmSync(path);
  log(`  moved the secrets of .gpubox/secrets.${stack}.json to Pulumi.${stack}.yaml`);
}

/** One command for each secret: `config set-all` takes its values as arguments, which every process can read. */
async function store(engine: PulumiEngine, stack: string, secrets: Secrets): Promise<void> {
  for (const [name, value] of Object.entries(secrets))
    await pulumiOutput(engine, ["config", "set", "--secret", namespace + name, "--stack", stack], {
      stdin: value,
    });
}

const shownConfig = z.record(
  z.string(),
  z.object({ value: z.string().optional(), objectValue: z.unknown().optional(), secret: z.boolean() }),
);

async function readConfig(engine: PulumiEngine, stack: string): Promise<Secrets> {
  const text = await pulumiOutput(engine, ["config", "--show-secrets", "--json", "--stack", stack]);
  const secrets: Secrets = {};
  for (const [key, entry] of Object.entries(shownConfig.parse(JSON.parse(text))))
    if (
      entry.secret &&
      entry.value !== undefined &&
      entry.objectValue === undefined &&
      key.startsWith(namespace)
    )
      secrets[key.slice(namespace.length)] = entry.value;
  return secrets;
}

const secretsFile = z.record(z.string(), z.string());

function readFile(projectDir: string, stack: string): Secrets {
  const path = projectPaths(projectDir).secrets(stack);
  if (!existsSync(path)) return {};
  try {
    return secretsFile.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    // The parser's own message quotes the text that it could not read.
    throw new UserError(
      `.gpubox/secrets.${stack}.json is not a JSON object of names and strings.`,
      "Correct it by hand; deleting it loses the salt key, without which stored credentials cannot be read.",
    );
  }
}

function writeFile(projectDir: string, stack: string, secrets: Secrets): void {
  ensureProjectFolders(projectDir);
  writePrivateFile(projectPaths(projectDir).secrets(stack), `${JSON.stringify(secrets, null, 2)}\n`);
}

const stackFile = z.object({ config: z.record(z.string(), z.unknown()).nullish() }).nullable();

/** The stack config's own keys in the namespace, without the prefix. */
function stackConfig(projectDir: string, stack: string): Record<string, unknown> {
  const path = projectPaths(projectDir).stackConfig(stack);
  if (!existsSync(path)) return {};
  const config = stackFile.safeParse(readYaml(path)).data?.config ?? {};
  const own = Object.entries(config).filter(([key]) => key.startsWith(namespace));
  return Object.fromEntries(own.map(([key, value]) => [key.slice(namespace.length), value]));
}

const encrypted = z.strictObject({ secure: z.string() });

/** Names of the encrypted secrets in the stack's config, in file order. Needs no engine. */
export function encryptedNames(projectDir: string, stack: string): string[] {
  return Object.keys(encryptedTexts(projectDir, stack));
}

/** Names of the secrets that are set: in the config, or in the file of a box without an engine. Needs no engine. */
export function setNames(projectDir: string, stack: string): string[] {
  return [...encryptedNames(projectDir, stack), ...Object.keys(readFile(projectDir, stack))];
}

/** The encrypted texts of {@link encryptedNames}, which change when a secret is set again. Needs no engine. */
export function encryptedTexts(projectDir: string, stack: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(stackConfig(projectDir, stack)).flatMap(([name, value]) => {
      const { data } = encrypted.safeParse(value);
      return data ? [[name, data.secure]] : [];
    }),
  );
}

/**
 * Stores values that a person brings along, where a box without an engine has its secrets. `ensureSecrets` moves them into
 * the stack's config once there is an engine.
 *
 * @throws UserError when one of them is set to another value
 */
export function bringSecrets(projectDir: string, stack: string, values: Secrets): void {
  const present = readFile(projectDir, stack);
  const encrypted = encryptedNames(projectDir, stack);
  const taken = Object.keys(values).filter(
    (name) => encrypted.includes(name) || (present[name] !== undefined && present[name] !== values[name]),
  );
  if (taken.length > 0)
    throw new UserError(
      `The stack ${stack} has the secret ${taken.join(", ")} already, and perhaps with another value.`,
      "Remove it there, or import into another stack.",
    );
  writeFile(projectDir, stack, { ...present, ...values });
}

import { existsSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseDocument } from "yaml";
import { z } from "zod";
import type { RawStack } from "../../configs/parse";
import { type Owner, ownerOf } from "../../configs/plan/owner";
import type { GpuAccess } from "../../configs/schema/host";
import { saltFingerprint, secretFacts } from "../../configs/secrets/facts";
import { UserError } from "../process";
import { projectPaths } from "../project";
import { readText, readYaml } from "../userFiles";
import { packageVersion, refuseNewerStack } from "../versions";
import { NAMESPACE, readBoxFiles, splitConfig } from "./boxFiles";
import { readHostFiles } from "./hostCertificates";
import { readOwnFiles } from "./ownFiles";

/**
 * Reads `Pulumi.<stack>.yaml` without an engine.
 *
 * @param secrets values of the stack's secrets, by name
 * @throws UserError when the file is missing or is not YAML
 */
export function readStackFile(projectDir: string, stack: string, secrets: Record<string, string>): RawStack {
  const name = `Pulumi.${stack}.yaml`;
  const path = join(projectDir, name);
  if (!existsSync(path))
    throw new UserError(`There is no ${name}.`, `Copy Pulumi.dev.example.yaml to ${name} and edit it.`);
  const { values, secrets: encrypted } = stackValues(name, readYaml(path) ?? {});
  refuseNewerStack(stack, values.version);
  const all = { ...secrets, ...plaintextValues(values) };
  return {
    stack,
    values,
    secrets: secretFacts(all, (key) => !(key in values)),
    secretsFile:
      encrypted.length === 0 ? relative(projectDir, projectPaths(projectDir).secrets(stack)) : undefined,
    saltFingerprint: secrets.saltKey && saltFingerprint(secrets.saltKey),
    hostFiles: readHostFiles(values.gateway, values.host),
    boxFiles: readBoxFiles(projectDir, values),
    ownFiles: readOwnFiles(projectDir, values),
  };
}

/** Writes the salt key's fingerprint into the stack's file once, so that another salt key is refused from then on. */
export function rememberSalt(projectDir: string, stack: string, salt: string): void {
  if (!read(projectDir, stack).hasIn(keyOf("saltFingerprint")))
    remember(projectDir, stack, "saltFingerprint", saltFingerprint(salt));
}

/** The engine that a stack's file records for its box. */
export function rememberedHost(projectDir: string, stack: string): string | undefined {
  return remembered(projectDir, stack, "hostId");
}

/** The owner mark of a stack file's box; undefined for one that never had a salt key. */
export function rememberedOwner(projectDir: string, stack: string): Owner | undefined {
  const fingerprint = remembered(projectDir, stack, "saltFingerprint");
  return fingerprint === undefined ? undefined : ownerOf(stack, fingerprint);
}

function remembered(projectDir: string, stack: string, name: string): string | undefined {
  return z
    .string()
    .optional()
    .parse(read(projectDir, stack).getIn(keyOf(name)));
}

/** Records the engine of a stack's box in the stack's file, so that it is not silently brought up on another host. */
export function rememberHost(projectDir: string, stack: string, id: string): void {
  if (rememberedHost(projectDir, stack) !== id) remember(projectDir, stack, "hostId", id);
}

/** Records this package's version in the stack's file: older versions are refused from then on. */
export function rememberVersion(projectDir: string, stack: string): void {
  const version = packageVersion();
  if (rememberedVersion(projectDir, stack) !== version) remember(projectDir, stack, "version", version);
}

/** The version of gpubox that last brought the box up; undefined before the first time. */
export function rememberedVersion(projectDir: string, stack: string): string | undefined {
  return remembered(projectDir, stack, "version");
}

/** Records in the stack's file how its NVIDIA GPUs reach containers, so that every preview knows it. */
export function rememberGpuAccess(projectDir: string, stack: string, access: GpuAccess): void {
  remember(projectDir, stack, "host", access, "gpuAccess");
}

function remember(projectDir: string, stack: string, name: string, value: string, ...inside: string[]): void {
  const document = read(projectDir, stack);
  document.setIn([...keyOf(name), ...inside], value);
  writeFileSync(join(projectDir, `Pulumi.${stack}.yaml`), document.toString());
}

function read(projectDir: string, stack: string) {
  return parseDocument(readText(join(projectDir, `Pulumi.${stack}.yaml`)));
}

function keyOf(name: string): string[] {
  return ["config", `${NAMESPACE}${name}`];
}

/** String values at the top level can only be meant as secrets, because every section is a map. */
export function plaintextValues(values: Record<string, unknown>): Record<string, string> {
  const text = Object.entries(values).filter(
    (entry): entry is [string, string] =>
      typeof entry[1] === "string" && /(key|password|token|secret|url)$/i.test(entry[0]),
  );
  return Object.fromEntries(text);
}

function stackValues(name: string, file: unknown): ReturnType<typeof splitConfig> {
  try {
    return splitConfig(file);
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    throw new UserError(
      `${name} is not a stack file: its \`config\` is not a map of keys.`,
      "Write `config:` and below it keys such as gpubox:models, as Pulumi.dev.example.yaml has them.",
    );
  }
}

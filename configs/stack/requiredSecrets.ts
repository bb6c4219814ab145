import type { AccessConfig } from "../schema/access";
import type { BackupConfig } from "../schema/backup";
import { generatedSecrets, type StackConfig } from "./config";
import { isOptional, secretsOf } from "./optionalModels";

export interface RequiredSecret {
  name: string;
  /** The key in the stack config that needs it. */
  path: string;
}

/** Secrets that this config requires, each with the key that needs it. */
export function requiredSecrets(config: StackConfig): RequiredSecret[] {
  const required: RequiredSecret[] = [
    { name: "masterKey", path: "gpubox:gateway" },
    { name: "saltKey", path: "gpubox:gateway" },
  ];
  if (config.cache.mode === "bundled") required.push({ name: "cachePassword", path: "gpubox:cache" });
  if (config.database.mode === "bundled")
    required.push({ name: "databasePassword", path: "gpubox:database" });
  const { mode: observes, alerts, langfuse } = config.observability;
  if (observes === "bundled") required.push({ name: "grafanaPassword", path: "gpubox:observability" });
  for (const { name, path } of secretsOf({ alerts, langfuse }))
    required.push({ name, path: `gpubox:observability${path}` });
  for (const section of ["cache", "database"] as const) {
    const { mode, url } = config[section];
    if (mode === "external" && url) required.push({ name: url.secret, path: `gpubox:${section}.url` });
  }
  for (const { name, path } of secretsOf(config.database.tls, ".tls"))
    required.push({ name, path: `gpubox:database${path}` });
  for (const key of ["env", "guardrails", "passThrough"] as const)
    for (const { name, path } of secretsOf(config.gateway[key]))
      required.push({ name, path: `gpubox:gateway.${key}${path}` });
  required.push(...accessSecrets(config.access), ...backupSecrets(config.backup));
  for (const { name, path } of secretsOf(config.gateway.tls, ".tls"))
    required.push({ name, path: `gpubox:gateway${path}` });
  for (const { name, path } of secretsOf(config.jobs)) required.push({ name, path: `gpubox:jobs${path}` });
  for (const [name, model] of Object.entries(config.models))
    if (!isOptional(model))
      for (const secret of secretsOf(model))
        required.push({ name: secret.name, path: `gpubox:models.${name}${secret.path}` });
  return required;
}

/** Those of them that gpubox makes itself where they are missing. */
export function madeSecrets(config: StackConfig): string[] {
  const required = new Set(requiredSecrets(config).map(({ name }) => name));
  return [...generatedSecrets.filter((name) => required.has(name)), ...generatedKeys(config.access)];
}

function backupSecrets({ restic }: BackupConfig): RequiredSecret[] {
  return restic ? [{ name: restic.password.secret, path: "gpubox:backup.restic.password" }] : [];
}

/** The secrets of the declared keys and of the UI's logins. */
function accessSecrets(access: AccessConfig): RequiredSecret[] {
  return [
    ...virtualKeys(access),
    ...(access.ui ? [{ name: access.ui.password.secret, path: "gpubox:access.ui.password" }] : []),
    ...(access.sso ? [{ name: access.sso.clientSecret.secret, path: "gpubox:access.sso.clientSecret" }] : []),
  ];
}

/** The secrets whose values are virtual keys, including previous keys that are still accepted. */
export function virtualKeys({ keys }: AccessConfig): RequiredSecret[] {
  return Object.entries(keys).flatMap(([name, { key, previous }]) => [
    { name: key.secret, path: `gpubox:access.keys.${name}.key` },
    ...(previous ? [{ name: previous.secret, path: `gpubox:access.keys.${name}.previous` }] : []),
  ]);
}

/** Secrets that `gpubox up` generates when they are missing: current keys and the UI's password, but never previous keys. */
export function generatedKeys({ keys, ui }: AccessConfig): string[] {
  const passwords = ui ? [ui.password.secret] : [];
  return [...new Set([...Object.values(keys).map(({ key }) => key.secret), ...passwords])];
}

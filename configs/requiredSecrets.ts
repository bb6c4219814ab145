import { isOptional, secretsOf } from "./optionalModels";
import type { StackConfig } from "./schema/stack";

export interface RequiredSecret {
  name: string;
  /** The key in the stack config that needs it. */
  path: string;
}

/** Secrets that this config cannot do without, each with the key that needs it. */
export function requiredSecrets(config: StackConfig): RequiredSecret[] {
  const required: RequiredSecret[] = [
    { name: "masterKey", path: "gpubox:gateway" },
    { name: "saltKey", path: "gpubox:gateway" },
  ];
  if (config.cache.mode === "bundled") required.push({ name: "cachePassword", path: "gpubox:cache" });
  if (config.database.mode === "bundled")
    required.push({ name: "databasePassword", path: "gpubox:database" });
  for (const section of ["cache", "database"] as const) {
    const { mode, url } = config[section];
    if (mode === "external" && url) required.push({ name: url.secret, path: `gpubox:${section}.url` });
  }
  for (const { name, path } of secretsOf(config.gateway.tls, ".tls"))
    required.push({ name, path: `gpubox:gateway${path}` });
  for (const [name, model] of Object.entries(config.models))
    if (!isOptional(model))
      for (const secret of secretsOf(model))
        required.push({ name: secret.name, path: `gpubox:models.${name}${secret.path}` });
  return required;
}

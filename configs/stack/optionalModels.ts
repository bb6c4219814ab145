import type { ModelConfig } from "../engines";
import type { SecretFacts } from "../secrets/facts";
import type { StackConfig } from "./config";
import { modelsOfBox } from "./profiles";

/** Secrets that an entry names, each with the key that names it: `.apiKey`, `.instances[0].aws.accessKeyId`. */
export function secretsOf(entry: unknown, path = ""): { name: string; path: string }[] {
  if (typeof entry !== "object" || entry === null) return [];
  if (Array.isArray(entry)) return entry.flatMap((inner, index) => secretsOf(inner, `${path}[${index}]`));
  const { secret } = entry as { secret?: unknown };
  if (typeof secret === "string" && Object.keys(entry).length === 1) return [{ name: secret, path }];
  return Object.entries(entry).flatMap(([key, inner]) => secretsOf(inner, `${path}.${key}`));
}

/** True for entries that the plan leaves out while one of their secrets is missing. */
export function isOptional(model: ModelConfig): boolean {
  return "optional" in model && model.optional;
}

/** Secrets that only optional models name. A blank value counts as not set. */
export function optionalSecrets({ models }: Pick<StackConfig, "models">): string[] {
  const named = (optional: boolean) =>
    Object.values(models)
      .filter((model) => isOptional(model) === optional)
      .flatMap((model) => secretsOf(model).map(({ name }) => name));
  const required = named(false);
  return named(true).filter((name) => !required.includes(name));
}

/** What an optional model lacks: model name to the secrets that are not set or blank. */
export function leftOut(
  { models }: Pick<StackConfig, "models">,
  secrets: SecretFacts,
): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(models)
      .filter(([, model]) => isOptional(model))
      .map(
        ([name, model]) =>
          [
            name,
            secretsOf(model)
              .filter((s) => isBlank(secrets, s.name))
              .map((s) => s.name),
          ] as const,
      )
      .filter(([, missing]) => missing.length > 0)
      .map(([name, missing]) => [name, [...new Set(missing)]]),
  );
}

/** The config without optional models that lack a secret, and without models that only gateways outside the box serve. */
export function withoutLeftOut(config: StackConfig, secrets: SecretFacts): StackConfig {
  const out = leftOut(config, secrets);
  const models = Object.entries(modelsOfBox(config)).filter(([name]) => !Object.hasOwn(out, name));
  return { ...config, models: Object.fromEntries(models) };
}

function isBlank(secrets: SecretFacts, name: string): boolean {
  return secrets[name] === undefined || secrets[name].flaw === "is empty";
}

import type { Resolved } from "../../configs/kit/resolved";
import type { BoxPlan } from "../../configs/kit/types";
import type { ModelLock } from "../../configs/models/facts";
import { parseStack, type RawStack } from "../../configs/parse";
import { planBox } from "../../configs/plan/box";
import { saltFingerprint, secretFacts } from "../../configs/secrets/facts";
import { withoutLeftOut } from "../../configs/stack/optionalModels";
import type { OwnFiles } from "../../configs/stack/ownFiles";
import type { Side } from "../../operations/preview/types";
import { packageDir } from "../../platform/project";
import { loadAssets } from "../../platform/stack/assets";

/** Secret values of the test stacks. Each is recognisable, so that a leak can be found anywhere. */
export const testSecrets: Record<string, string> = {
  masterKey: "sk-PLANTED-master-0123456789abcdef",
  saltKey: "sk-PLANTED-salt-0123456789abcdef",
  cachePassword: "PLANTED-cache-'\"\\$x",
  databasePassword: "PLANTED-database-'\"\\$x@/:%",
};

/** A stack config as the file has it, with every generated secret set unless `secrets` says otherwise. */
export function rawStack(values: Record<string, unknown> = {}, secrets = testSecrets): RawStack {
  return { stack: "test", values, secrets: secretFacts(secrets, () => true) };
}

/** The mistakes of a stack config, a line each. */
export function mistakesOf(raw: RawStack): string[] {
  return mistakesIn(() => parseStack(raw));
}

/** The mistakes with which something is refused, a line each. */
export function mistakesIn(judge: () => unknown): string[] {
  try {
    judge();
    return [];
  } catch (error) {
    return (error as Error).message
      .split("\n")
      .slice(1)
      .map((line) => line.trim());
  }
}

export const tinyModel = {
  tiny: { engine: "llamacpp", model: "file:///srv/models/tiny.gguf" },
};

/** What a machine without an image registry resolves to. */
export const recipes: Resolved = {
  images: {
    gateway: { reference: "gpubox/gateway:111111111111", source: "recipe" },
    edge: { reference: "gpubox/edge:222222222222", source: "recipe" },
    cache: { reference: "gpubox/cache:333333333333", source: "recipe" },
    database: { reference: "gpubox/database:444444444444", source: "recipe" },
    llamacpp: { reference: "gpubox/llamacpp:555555555555", source: "recipe" },
    acme: { reference: "gpubox/acme:666666666666", source: "recipe" },
  },
  offlineModels: [],
  knownModels: [],
};

/** The plan of a stack config. */
export function testPlan(
  values: Record<string, unknown> = { models: tinyModel },
  secrets = testSecrets,
  resolved = recipes,
  lock?: ModelLock,
  stack = "test",
  ownFiles?: OwnFiles,
): BoxPlan {
  const raw = { ...rawStack(values, secrets), lock, stack, ownFiles };
  return planBox({
    config: parseStack(raw),
    lock,
    secrets: raw.secrets,
    saltFingerprint: saltFingerprint(secrets.saltKey ?? ""),
    resolved,
    assets: loadAssets(packageDir),
  });
}

/** One side of a preview: a stack config, and the plan that is made of it. */
export function testSide(
  values: Record<string, unknown> = { models: tinyModel },
  { secrets = testSecrets, resolved = recipes, lock = {} as ModelLock } = {},
): Side {
  const raw = { ...rawStack(values, secrets), lock };
  return {
    values,
    config: withoutLeftOut(parseStack(raw), raw.secrets),
    plan: testPlan(values, secrets, resolved, lock),
    lock,
    resolved,
    secrets: raw.secrets,
  };
}

/** The same machine with a gateway from a registry, which can talk to a database. */
export const officialGateway: Resolved = {
  ...recipes,
  images: { ...recipes.images, gateway: { reference: "litellm@sha256:0", source: "digest" } },
};

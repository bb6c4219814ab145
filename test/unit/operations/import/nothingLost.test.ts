import fc from "fast-check";
import { stringify } from "yaml";
import { childrenOf, isBelow, type Path, pathText } from "../../../../operations/import/ledger";
import { type ImportedStack, imported } from "../../../support/imported";
import { runs } from "../../../support/runs";

/** Every value of a document with its path. */
function leaves(value: unknown, path: Path = []): { path: string; value: unknown }[] {
  const inner = childrenOf(value);
  if (inner.length === 0) return [{ path: pathText(path), value }];
  return inner.flatMap(([step, below]) => leaves(below, [...path, step]));
}

/** Values that stand neither in the stack file nor in its secrets, and that no comment tells of. */
function forgotten(document: unknown, { text, secrets, untold }: ImportedStack): string[] {
  const held = `${text.replace(/^ *#.*$/gm, "")}\n${Object.values(secrets).join("\n")}`;
  const told = untold.map(({ what }) => what.replace(/^\S+ /, ""));
  return leaves(document)
    .filter(({ path }) => !told.some((one) => isBelow(path, one)))
    .filter(({ value }) => !held.includes(String(value).replace(/^(os\.environ|hosted_vllm|openai)\//, "")))
    .map(({ path }) => path);
}

const any = (...keys: string[]) => fc.subarray(keys);

const shape = fc.record({
  models: fc.array(
    fc.record({
      provider: fc.constantFrom("hosted_vllm", "openai", "groq", "nobody"),
      name: fc.constantFrom("a", "b", "c/d", "a.b"),
      params: any("api_base", "api_key", "tags", "mystery", "extra_body", "organization", "order"),
      info: any("id", "base_model", "mystery", "access_groups"),
    }),
    { maxLength: 4 },
  ),
  litellm: any("mystery", "callbacks", "max_budget", "cache_params", "default_team_settings"),
  router: any("mystery", "model_group_alias", "fallbacks", "redis_host", "retry_policy"),
  general: any("mystery", "master_key", "database_url", "alerting"),
  extra: any("mystery", "guardrails", "environment_variables"),
});

test("every value of a LiteLLM config is in the stack file, in its secrets, or told", async () => {
  await fc.assert(
    fc.asyncProperty(shape, async ({ models, litellm, router, general, extra }) => {
      // Each value is another one, so that none is taken for the other.
      let at = 100_000;
      const next = () => `w${at++}x`;
      const values: Record<string, () => unknown> = {
        api_base: () => `http://${next()}.lan/v1`,
        api_key: () => `sk-${next()}`,
        tags: () => [next(), next()],
        extra_body: () => ({ [next()]: { deep: next() } }),
        order: () => at++,
        callbacks: () => [next(), next()],
        max_budget: () => at++,
        cache_params: () => ({ type: "s3", [next()]: next() }),
        model_group_alias: () => ({ [next()]: next() }),
        fallbacks: () => [{ [next()]: [next()] }],
        retry_policy: () => ({ TimeoutErrorRetries: at++ }),
        environment_variables: () => ({ SOME_NAME: next(), SOME_KEY: next(), PORT: next() }),
        guardrails: () => [{ guardrail_name: next(), litellm_params: { guardrail: next() } }],
      };
      const filled = (keys: string[]) =>
        Object.fromEntries(keys.map((key) => [key, (values[key] ?? next)()]));
      const document = {
        model_list: [
          { model_name: "fixed", litellm_params: { model: "groq/fixed" } },
          ...models.map(({ provider, name, params, info }) => ({
            model_name: name,
            litellm_params: { model: `${provider}/${next()}`, ...filled(params) },
            ...(info.length > 0 ? { model_info: filled(info) } : {}),
          })),
        ],
        ...{ litellm_settings: filled(litellm), router_settings: filled(router) },
        ...{ general_settings: filled(general), ...filled(extra) },
      };
      const made = await imported({ "config.yaml": stringify(document) });
      expect(forgotten(document, made)).toEqual([]);
    }),
    runs(20),
  );
});

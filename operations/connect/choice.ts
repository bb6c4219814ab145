import { z } from "zod";
import { engineOf, type ModelConfig } from "../../configs/engines";
import { suggestion } from "../../configs/kit/problems";
import type { BoxPlan } from "../../configs/kit/types";
import { bracketed, isWildcard } from "../../configs/network/addresses";
import { gatewayYaml } from "../../configs/plan/gatewayYaml";
import type { StackConfig } from "../../configs/stack/config";
import { throughGateway } from "../../configs/stack/instances";
import { isForMany, isServed } from "../../configs/stack/wildcards";
import type { Client } from "./clients";

/** Chat models; those that start by themselves come first. */
export function chatModels({ models }: StackConfig): string[] {
  const chat = Object.entries(models).filter(
    ([name, model]) => model.mode === "chat" && throughGateway(model) && !isForMany(name),
  );
  const rank = ({ start }: ModelConfig) => (start === "auto" ? 0 : 1);
  return chat.sort(([, a], [, b]) => rank(a) - rank(b)).map(([name]) => name);
}

const deployments = z.object({
  model_list: z.array(
    z.object({
      model_name: z.string(),
      model_info: z.object({ max_input_tokens: z.number().optional() }),
    }),
  ),
  router_settings: z.object({ model_group_alias: z.record(z.string(), z.string()).optional() }),
});

/** Tokens per request of each model and alias; with several instances, the smallest limit. */
export function contextsOf(box: BoxPlan): Record<string, number> {
  const { model_list, router_settings } = deployments.parse(gatewayYaml(box));
  const contexts: Record<string, number> = {};
  for (const { model_name, model_info } of model_list) {
    const { max_input_tokens } = model_info;
    if (max_input_tokens)
      contexts[model_name] = Math.min(contexts[model_name] ?? max_input_tokens, max_input_tokens);
  }
  for (const [alias, name] of Object.entries(router_settings.model_group_alias ?? {}))
    if (contexts[name]) contexts[alias] = contexts[name];
  return contexts;
}

/** What is wrong with a chosen host or model, and what to do. */
export interface ChoiceRefusal {
  what: string;
  fix: string;
}

/** The model that a client starts with: the named one, or the first that suits the client. */
export function chooseModel(config: StackConfig, client: Client, wanted?: string): string | ChoiceRefusal {
  const all = chatModels(config);
  const slash = (name: string) => client === "claude-code" && name.includes("/");
  if (wanted === undefined)
    return (
      all.find((name) => !slash(name)) ?? {
        what: `The stack ${config.stack} declares no chat model that ${client} could use.`,
        fix: slash(all[0] ?? "") ? "Give one an alias without a slash." : "Add one under gpubox:models.",
      }
    );
  const names = Object.entries(config.models)
    .filter(([name]) => all.includes(name))
    .flatMap(([name, model]) => [name, ...model.aliases, ...(engineOf(model).adapters?.(model) ?? [])]);
  if (!isServed(wanted, [...names, ...Object.keys(config.models).filter(isForMany)]))
    return {
      what: `The stack ${config.stack} has no chat model "${wanted}".`,
      fix: suggestion(wanted, names),
    };
  if (slash(wanted))
    return {
      what: "Claude Code accepts no model with a slash in its name.",
      fix: `Give "${wanted}" an alias without a slash.`,
    };
  return wanted;
}

/**
 * The secret that contains the client's key. `wanted` is a declared virtual key or a secret. Default: the first
 * declared key that may use the model, by itself and by its team, or the master key.
 */
export function keySecret({ access }: StackConfig, model: string, wanted?: string): string {
  if (wanted !== undefined) return access.keys[wanted]?.key.secret ?? wanted;
  const may = ({ models }: { models?: string[] }) => models === undefined || isServed(model, models);
  const found = Object.values(access.keys).find(
    (key) => may(key) && may((key.team && access.teams[key.team]) || {}),
  );
  return found?.key.secret ?? "masterKey";
}

/** The base URL for clients that use another host name. */
export function endpointAt(
  endpoint: string,
  { gateway }: StackConfig,
  host?: string,
): string | ChoiceRefusal {
  const loopback = ["localhost", "127.0.0.1", "::1"];
  const wildcard = isWildcard(gateway.bind);
  const known = [...gateway.hosts, ...(wildcard ? [] : [gateway.bind]), ...loopback];
  const wanted = host ?? (loopback.includes(gateway.bind) ? undefined : gateway.hosts[0]);
  if (wanted === undefined) return endpoint;
  if (!known.includes(wanted))
    return {
      what: `The edge does not answer to the host name "${wanted}".`,
      fix: "Add it to gpubox:gateway.hosts.",
    };
  const url = new URL(endpoint);
  url.hostname = bracketed(wanted);
  return url.origin;
}

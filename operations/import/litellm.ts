import type { Draft } from "./draft";
import { groupOf } from "./group";
import type { Input } from "./input";
import { type DeploymentDraft, mapsOf, readDeployment, sharedOf } from "./litellmModel";
import { readSettings } from "./litellmSettings";
import { resolvedText, textOf, type Variables } from "./values";

/** An entry that serves on this box what a deployment asks by an address: host and port, as the deployment has them. */
export type LocalServers = ReadonlyMap<string, string>;

/** Reads LiteLLM's config.yaml into a draft. `local`: models of the draft by the address of their old server. */
export function readLitellm(
  config: Input,
  draft: Draft,
  variables: Variables,
  local: LocalServers = new Map(),
): void {
  const known = withOwn(config, variables);
  config.at("include")?.lose("import each of these files too, and put the entries together");
  const groups = new Map<string, DeploymentDraft[]>();
  const here: StandIn[] = [];
  for (const item of config.at("model_list")?.children() ?? []) {
    const name = textOf(item.at("model_name")) ?? "";
    const server = serverHere(item, local, known);
    if (server !== undefined) {
      here.push({ server, name, item });
      continue;
    }
    const read = readDeployment(item, draft, known);
    if (typeof read === "string") {
      item.drop(`no entry was made: ${read}`);
      continue;
    }
    draft.routes.push({ name, old: read.shown });
    groups.set(name, [...(groups.get(name) ?? []), read]);
  }
  for (const [index, one] of here.entries()) standIn(draft, one, here.slice(0, index), known);
  for (const [name, deployments] of groups) {
    if (draft.models[name]) {
      for (const { input } of deployments) input.drop("this box serves the name itself");
      continue;
    }
    for (const deployment of deployments) settleId(deployment, deployments.length);
    const { entry, apart } = groupOf(name, deployments);
    draft.models[name] = entry;
    if (entry.instances === undefined)
      for (const key of ["weight", "order"])
        deployments[0]!.input.at("litellm_params", key)?.drop("a single server shares with nobody");
    for (const { deployment, why } of apart) deployment.input.drop(why);
  }
  readSettings(config, draft, known);
}

/** gpubox's own ids are the model's name, and for one of several that with the instance's. */
function settleId({ name, id, input }: DeploymentDraft, count: number): void {
  const own = count > 1 ? id?.startsWith(`${name}-`) : id === name;
  const place = input.at("model_info", "id");
  if (own) place?.carry(`gpubox:models.${name}`);
  else place?.lose("gpubox gives each server an id of its own");
}

/** The model of this box that a deployment's address leads to. */
function serverHere(item: Input, local: LocalServers, variables: Variables): string | undefined {
  const params = item.at("litellm_params");
  const address = resolvedText(params?.at("api_base") ?? params?.at("base_url"), variables);
  return address && URL.canParse(address) ? local.get(new URL(address).host) : undefined;
}

/** A deployment of a server that this box runs itself. */
interface StandIn {
  /** The server's entry. */
  server: string;
  name: string;
  item: Input;
}

/** Makes of a stand-in's name the entry's, or one of its aliases. The first one says what the entry has of LiteLLM's own keys. */
function standIn(draft: Draft, { server, name, item }: StandIn, before: StandIn[], known: Variables): void {
  const entry = draft.models[server]!;
  const to = `gpubox:models.${server}`;
  item.house(to);
  draft.routes.push({ name, old: `${textOf(item.at("litellm_params", "model"))}` });
  const aliases = (entry.aliases ?? []) as string[];
  if (name !== server && !aliases.includes(name)) entry.aliases = [...aliases, name];
  item.at("model_name")!.carry(`${to}.aliases`);
  for (const key of ["model", "api_base", "base_url", "api_key"]) item.at("litellm_params", key)?.carry(to);
  item.at("model_info", "id")?.carry(to);
  const first = before.find((one) => one.server === server);
  if (first === undefined) {
    Object.assign(entry, { ...sharedOf(item, to), ...mapsOf(item, to, draft, known), ...entry });
    return;
  }
  item.lose(
    `one entry answers to both names, by what "${first.name}" says; for another, write engine: openai over this server's \`expose\``,
  );
  if (entry.params) draft.remark(`${to}.params`, `Requests to "${name}" get these too now.`);
}

/** `environment_variables` of the config are set before anything else reads them. */
function withOwn(config: Input, variables: Variables): Variables {
  const own = (config.at("environment_variables")?.children() ?? []).flatMap((one) => {
    const value = textOf(one);
    return value === undefined || value.startsWith("os.environ/") ? [] : [[one.name, value] as const];
  });
  return new Map([...variables, ...own]);
}

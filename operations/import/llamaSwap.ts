import { z } from "zod";
import { UserError } from "../../platform/process";
import type { FileSource } from "./collect";
import type { Draft, Entry } from "./draft";
import { giveGpus, type HostGpus } from "./gpus";
import { Input } from "./input";
import type { Ledger } from "./ledger";
import { readServer } from "./modelServer";
import { type Bind, roleOf } from "./services";
import { textOf, type Variables } from "./values";
import { serverWords, shellWords } from "./words";

/** Paths as the host has them. */
const HOST: Bind[] = [{ host: "/", inside: "/" }];

/** Every model of llama-swap that is in no group shares its one place. */
const SHARED_SLOT = "llama-swap";

/** What says that models run on a GPU. */
const ON_GPU = /-ngl |--n-gpu-layers|--gpu-layers|CUDA_VISIBLE_DEVICES|--gpus|tensor-split/;

const texts = z.array(z.string());
const seconds = z.int().min(0);

/** Reads llama-swap's config into a draft. @throws UserError, with the place, for a macro that nothing defines */
export function readLlamaSwap(
  source: FileSource,
  draft: Draft,
  variables: Variables,
  host: HostGpus,
): Ledger {
  const { input, ledger } = Input.open(source.value);
  const slots = slotsOf(input, draft);
  const shared = macrosOf(input.at("macros"));
  draft.oldPort ??= 8080;
  const ttl = input.at("globalTTL")?.carry("gpubox:models").read(seconds) ?? 0;
  const onGpu = host !== undefined || ON_GPU.test(JSON.stringify(source.value));
  for (const model of input.at("models")?.children() ?? []) {
    const macros = new Map([...shared, ...macrosOf(model.at("macros")), ["MODEL_ID", model.name]]);
    const fill = (one: Input) => filled(textOf(one) ?? "", macros, variables, () => source.place(one.path));
    readModel(model, fill, slots.get(model.name), { draft, host, onGpu, ttl });
  }
  splitSlots(draft);
  for (const key of ["macros"]) input.at(key)?.carry("gpubox:models");
  for (const key of ["healthCheckTimeout", "startPort", "logLevel", "logRequests", "metricsMaxInMemory"])
    input
      .at(key)
      ?.lose("gpubox has this by itself: deadlines by size, a port for each model, metrics of the edge");
  input
    .at("hooks")
    ?.lose("nothing is loaded before the first request; write start: auto for what always runs");
  return ledger;
}

function readModel(
  model: Input,
  fill: (one: Input) => string,
  group: string | undefined,
  { draft, host, onGpu, ttl }: { draft: Draft; host: HostGpus; onGpu: boolean; ttl: number },
): void {
  const command = model.at("cmd");
  if (!command) {
    model.lose("no entry was made: it has no cmd");
    return;
  }
  const { words, binds, image } = containerOf(serverWords(shellWords(fill(command))));
  const engine = roleOf(image, words.join(" "));
  if (engine !== "llamacpp" && engine !== "vllm" && engine !== "sglang") {
    model.lose("no entry was made: its command starts no server that gpubox knows");
    return;
  }
  const named = model.at("env")?.read(texts);
  const env = named && model.at("env")!.as(Object.fromEntries(named.map((one) => splitOnce(one))));
  // llama-swap's own name is what clients write.
  const kept = withoutNames(words);
  const made = readServer({ name: model.name, engine, command, words: kept, env, binds }, draft);
  if (typeof made === "string") {
    model.drop(`no entry was made: ${made}`);
    return;
  }
  const to = `gpubox:models.${model.name}`;
  model.house(to);
  const entry: Entry = { ...made.entry, ...aliasesOf(model, to) };
  draft.models[model.name] = entry;
  draft.routes.push({ name: model.name, old: `llama-swap: ${engine}` });
  if (engine === "llamacpp") Object.assign(entry, onDemand(model, group, to, ttl));
  else {
    entry.start = "manual";
    draft.remark(
      `${to}.start`,
      "Only llama.cpp is loaded on demand. Start this one with `gpubox model start`.",
    );
  }
  const ids = env?.at("CUDA_VISIBLE_DEVICES");
  if (ids) ids.carry(`${to}.gpu.devices`);
  if (onGpu && entry.nGpuLayers !== 0)
    giveGpus(entry, ids ? { ids: String(ids.value).split(",") } : { count: 1 }, draft, host, to);
  model.at("proxy")?.carry(to);
  model.at("checkEndpoint")?.carry(to);
  model.at("cmdStop")?.lose("gpubox stops containers by itself");
  for (const key of ["name", "description", "metadata", "unlisted"])
    model.at(key)?.lose("gpubox lists names and nothing beside them");
}

/** Models of one slot have the same devices: those with others get a slot of their own. */
function splitSlots({ models }: Draft): void {
  const devicesOf = ({ gpu }: Entry) =>
    ((gpu as { devices: unknown[] } | undefined)?.devices ?? ["cpu"]).join("-");
  const slotted = Object.values(models).filter(({ slot }) => slot !== undefined);
  for (const slot of new Set(slotted.map((entry) => entry.slot))) {
    const entries = slotted.filter((entry) => entry.slot === slot);
    if (new Set(entries.map(devicesOf)).size === 1) continue;
    for (const entry of entries) entry.slot = `${slot}-${devicesOf(entry).toLowerCase()}`;
  }
}

function onDemand(model: Input, group: string | undefined, to: string, usual: number): Entry {
  const ttl = model.at("ttl")?.read(seconds);
  if (ttl !== undefined) model.at("ttl")!.carry(`${to}.idleSeconds`);
  return {
    start: "ondemand",
    ...(group === "" ? {} : { slot: group ?? SHARED_SLOT }),
    idleSeconds: ttl ?? usual,
  };
}

function aliasesOf(model: Input, to: string): Entry {
  const aliases = model.at("aliases")?.read(texts);
  if (!aliases) return {};
  model.at("aliases")!.carry(`${to}.aliases`, true);
  return { aliases };
}

/** The slot of each model in a group; an empty text for models that run beside each other. */
function slotsOf(input: Input, draft: Draft): Map<string, string> {
  const slots = new Map<string, string>();
  for (const group of input.at("groups")?.children() ?? []) {
    const swap = group.at("swap")?.value !== false;
    const slot = group.name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "");
    for (const member of group.at("members")?.children() ?? []) {
      slots.set(textOf(member) ?? "", swap ? slot : "");
      member.carry(`gpubox:models.${textOf(member)}.slot`);
    }
    group.at("swap")?.carry("gpubox:models");
    group.lose("gpubox's planner decides what fits beside what: slots know nothing of each other");
  }
  if (slots.size > 0) draft.remark("gpubox:models", "Of the models with one slot, one is loaded at a time.");
  return slots;
}

function macrosOf(macros: Input | undefined): Map<string, string> {
  // A list keeps its order, and a later macro may use those before.
  const items = macros?.children().flatMap((one) => (typeof one.value === "object" ? one.children() : [one]));
  return new Map(
    (items ?? []).flatMap((one) => (textOf(one) === undefined ? [] : [[one.name, textOf(one)!]])),
  );
}

/** llama-swap's own: a free port, which gpubox has one of for each model. */
const PORT = "9999";

function filled(
  text: string,
  macros: ReadonlyMap<string, string>,
  variables: Variables,
  place: () => string,
): string {
  let value = text;
  for (let depth = 0; depth < 10 && /\$\{[^}]+\}/.test(value); depth++)
    value = value.replace(/\$\{([^}]+)\}/g, (_, name: string) => {
      const found =
        name === "PORT" ? PORT : name.startsWith("env.") ? variables.get(name.slice(4)) : macros.get(name);
      if (found !== undefined) return found;
      throw new UserError(
        `${place()}: nothing defines the macro \${${name}}.`,
        name.startsWith("env.") ? "Set the variable, or write its value." : "Define it under macros.",
      );
    });
  return value;
}

/** A command that starts a container: its image, its arguments and its mounts. */
function containerOf(words: string[]): { words: string[]; binds: Bind[]; image: string } {
  if (!/(^|\/)(docker|podman)$/.test(words[0] ?? "") || !words.includes("run"))
    return { words, binds: HOST, image: "" };
  const binds: Bind[] = [];
  let at = words.indexOf("run") + 1;
  for (; at < words.length && words[at]!.startsWith("-"); at++) {
    const [flag = "", value] = words[at]!.split("=", 2);
    if (["-v", "--volume"].includes(flag)) {
      const [host = "", inside = ""] = (value ?? words[at + 1] ?? "").split(":");
      binds.push({ host, inside });
    }
    if (value === undefined && !ALONE.test(flag)) at++;
  }
  return { words: words.slice(at + 1), binds, image: words[at] ?? "" };
}

/** Flags of `docker run` without a value. */
const ALONE = /^(--rm|--init|-d|--detach|-i|-t|-it|-ti|--interactive|--tty|--privileged|--read-only)$/;

/** The command without the name that it gives its model: clients write llama-swap's. */
function withoutNames(words: string[]): string[] {
  const at = words.findIndex((word) => /^(--alias|-a|--served-model-name)$/.test(word));
  return at < 0 ? words : [...words.slice(0, at), ...words.slice(at + 2)];
}

function splitOnce(text: string): [string, string] {
  const end = text.indexOf("=");
  return end < 0 ? [text, ""] : [text.slice(0, end), text.slice(end + 1)];
}

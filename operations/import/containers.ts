import { resolve } from "node:path";
import { z } from "zod";
import type { EngineName } from "../../configs/engines";
import type { Draft } from "./draft";
import { withEnvironment } from "./environments";
import { type GivenGpus, giveGpus, type HostGpus } from "./gpus";
import type { Input } from "./input";
import { readServer } from "./modelServer";
import { type Bind, hostPath, roleOf } from "./services";
import { readVolumes, volumesOf } from "./volumes";
import { serverWords, shellWords } from "./words";

/** What is read of all containers together before LiteLLM's config is. */
export interface ReadContainers {
  /** Models of the draft by the addresses of their old servers. */
  local: Map<string, string>;
  /** LiteLLM's configs on the host, with the environment of their containers. */
  gateways: { path: string; env?: Input; input: Input }[];
  /** Directories of Ollama's models on the host, with the services that use them. */
  ollamas: { models: string; input: Input }[];
  /** Directories of hub caches on the host. */
  hubs: string[];
}

interface About {
  draft: Draft;
  /** Folder of the compose file, which relative paths start from. */
  folder: string;
  host: HostGpus;
}

const texts = z.array(z.union([z.string(), z.number()]).transform(String));

/** The images' own programs, for commands that are arguments only. */
const PORTS: Partial<Record<EngineName, number>> = {
  ...{ vllm: 8000, sglang: 30000, llamacpp: 8080, ollama: 11434, "text-embeddings-inference": 80 },
  ...{ "tensorrt-llm": 8000, speaches: 8000 },
};

/** What people write for containers of every kind. */
const HOUSEKEEPING = [
  ...["restart", "depends_on", "healthcheck", "networks", "logging", "labels", "container_name", "init"],
  ...["hostname", "ulimits", "ipc", "security_opt", "privileged", "stdin_open", "tty", "pull_policy"],
  ...["extra_hosts", "network_mode", "platform", "stop_grace_period", "cap_add", "user", "expose"],
];

/** Reads services, each a map as a compose file has it, into a draft. */
export function readContainers(services: Input[], about: About): ReadContainers {
  const read: ReadContainers = { local: new Map(), gateways: [], ollamas: [], hubs: [] };
  for (const one of services) {
    const service = withEnvironment(one, about.folder);
    readOne(service, about, read);
    for (const key of HOUSEKEEPING) service.at(key)?.lose("gpubox decides it for each of its containers");
  }
  return read;
}

function readOne(service: Input, about: About, read: ReadContainers): void {
  const { draft } = about;
  const image = service.at("image")?.read(z.string()) ?? "";
  const words = serverWords([...wordsAt(service.at("entrypoint")), ...wordsAt(service.at("command"))]);
  const role = roleOf(image, words.join(" "));
  const binds = volumesOf(service.at("volumes"), about.folder);
  const ports = portsOf(service.at("ports"));
  if (role === undefined) {
    service.lose("this is no part of a model server that gpubox knows");
    return;
  }
  if (role === "redis" || role === "postgres") {
    service.at("image")?.carry(draft.set(role === "redis" ? "cache" : "database", ["mode"], "bundled"));
    service.lose("the box has one of its own, with settings and data of its own");
    return;
  }
  draft.containers.push(service.at("container_name")?.read(z.string()) ?? service.name);
  const models = role === "ollama" ? hostPath("/root/.ollama/models", binds) : undefined;
  if (models) {
    read.ollamas.push({ models, input: service });
    return;
  }
  if (role === "litellm") {
    readGateway(service, words, binds, ports, draft, read);
    return;
  }
  if (role === "llama-swap") {
    service.lose("import its config.yaml too: it has the models");
    return;
  }
  readModel(service, role, { ...about, words, binds, ports }, read);
}

interface Model extends About {
  words: string[];
  binds: Bind[];
  ports: Port[];
}

function readModel(service: Input, engine: EngineName, model: Model, read: ReadContainers): void {
  const { draft, words, binds, ports, host } = model;
  const env = service.at("environment");
  const made = readServer(
    {
      name: service.name,
      engine,
      command: service.at("command") ?? service.at("entrypoint"),
      words,
      env,
      binds,
    },
    draft,
  );
  if (typeof made === "string") {
    service.drop(`no entry was made: ${made}`);
    return;
  }
  const { name, entry } = made;
  if (draft.models[name]) {
    service.drop(`another server has the name "${name}" already; give one of them --served-model-name`);
    return;
  }
  const to = `gpubox:models.${name}`;
  service.house(to);
  draft.models[name] = entry;
  service.at("image")?.carry(`${to}.engine`);
  service.at("container_name")?.carry(to);
  if (service.at("entrypoint") && service.at("command")) service.at("entrypoint")!.carry(`${to}.engine`);
  giveGpus(entry, gpusOf(service, to), draft, host, to);
  const shm = mebibytes(service.at("shm_size")?.value);
  if (shm !== undefined && ["vllm", "sglang", "tensorrt-llm"].includes(engine)) {
    entry.shmMiB = shm;
    service.at("shm_size")!.carry(`${to}.shmMiB`);
  }
  if (service.at("profiles")) {
    entry.start = "manual";
    service.at("profiles")!.carry(`${to}.start`);
    draft.remark(`${to}.start`, "Its profile started it only when somebody asked for that.");
  }
  read.hubs.push(...readVolumes(service.at("volumes"), model.folder, entry, to));
  service
    .at("ports")
    ?.lose("clients go through the gateway; write `expose` for those that ask the server itself");
  draft.routes.push({ name, old: `${engine} ${service.name}${ports[0] ? ` on port ${ports[0].host}` : ""}` });
  const port = Number(flagValue(words, "--port") ?? PORTS[engine] ?? 8000);
  const names = [service.name, service.at("container_name")?.read(z.string())].filter(Boolean);
  for (const host of names) read.local.set(port === 80 ? `${host}` : `${host}:${port}`, name);
  for (const { host } of ports)
    for (const here of ["localhost", "127.0.0.1", "host.docker.internal", "172.17.0.1"])
      read.local.set(`${here}:${host}`, name);
}

function readGateway(
  service: Input,
  words: string[],
  binds: Bind[],
  ports: Port[],
  draft: Draft,
  read: ReadContainers,
): void {
  const inside = flagValue(words, "--config") ?? flagValue(words, "-c");
  const path = inside && hostPath(resolve("/app", inside), binds);
  draft.oldPort ??= ports[0]?.host;
  if (ports[0]) service.at("ports", 0)?.carry("gpubox:gateway.port");
  service.at("image")?.carry("gpubox:gateway");
  for (const key of ["container_name", "command"]) service.at(key)?.carry("gpubox:gateway");
  service.house("gpubox:gateway");
  const env = service.at("environment");
  if (path) read.gateways.push({ path, env, input: service });
  else service.lose("no mount brings its config file; import that file too");
}

/** A command as words: a list, or a text as a shell reads it. */
function wordsAt(input: Input | undefined): string[] {
  const list = input?.read(texts);
  if (list) return list;
  const text = input?.read(z.string());
  return text === undefined ? [] : shellWords(text);
}

interface Port {
  host: number;
}

function portsOf(ports: Input | undefined): Port[] {
  return (ports?.children() ?? []).flatMap((one) => {
    const published = one.at("published")?.value ?? one.value;
    const [, host] = /^(?:.*:)?(\d+)(?::\d+)?(?:\/\w+)?$/.exec(String(published)) ?? [];
    const [, mapped] = /(\d+):\d+(?:\/\w+)?$/.exec(String(published)) ?? [];
    return host ? [{ host: Number(mapped ?? host) }] : [];
  });
}

const device = z.looseObject({
  driver: z.string().optional(),
  count: z.union([z.number(), z.string()]).optional(),
  device_ids: texts.optional(),
  capabilities: z.array(z.unknown()).optional(),
});

/** The GPUs of a service, in every form that Compose has for it. */
function gpusOf(service: Input, to: string): GivenGpus {
  const reserved = service.at("deploy", "resources", "reservations", "devices");
  const first = reserved?.at(0)?.read(device);
  if (first) {
    reserved!.carry(`${to}.gpu`);
    if (first.device_ids) return { ids: first.device_ids };
    return { count: typeof first.count === "number" ? first.count : countOf(first.count) };
  }
  const gpus = service.at("gpus");
  if (gpus) {
    gpus.carry(`${to}.gpu`);
    const listed = gpus.at(0)?.read(device);
    if (listed?.device_ids) return { ids: listed.device_ids };
    return { count: countOf(String(listed?.count ?? gpus.value)) };
  }
  if (service.at("runtime")?.value !== "nvidia") return undefined;
  service.at("runtime")!.carry(`${to}.gpu`);
  const env = service.at("environment");
  const visible = env?.at("CUDA_VISIBLE_DEVICES") ?? env?.at("NVIDIA_VISIBLE_DEVICES");
  const ids = String(visible?.value ?? "all");
  visible?.carry(`${to}.gpu.devices`);
  return ids === "all" ? { count: "all" } : { ids: ids.split(",") };
}

function countOf(text: string | undefined): number | "all" {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : "all";
}

function mebibytes(value: unknown): number | undefined {
  const [, number, unit = "b"] = /^(\d+(?:\.\d+)?)\s*([bkmg])?i?b?$/i.exec(String(value ?? "")) ?? [];
  if (number === undefined) return undefined;
  const factor = { b: 1 / 1024 ** 2, k: 1 / 1024, m: 1, g: 1024 }[unit.toLowerCase()] ?? 1;
  return Math.floor(Number(number) * factor);
}

function flagValue(words: string[], flag: string): string | undefined {
  for (const [index, word] of words.entries()) {
    if (word === flag) return words[index + 1];
    if (word.startsWith(`${flag}=`)) return word.slice(flag.length + 1);
  }
  return undefined;
}

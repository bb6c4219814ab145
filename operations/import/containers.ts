import { resolve } from "node:path";
import { z } from "zod";
import type { EngineName } from "../../configs/engines";
import { giveAccelerators } from "./accelerators";
import type { Draft, OldContainer } from "./draft";
import { withEnvironment } from "./environments";
import type { HostGpus } from "./gpus";
import type { Input } from "./input";
import { readServer } from "./modelServer";
import { ownImageOf, readOwnContainer } from "./serverContainer";
import { type Bind, hostPath, roleOf } from "./services";
import { readVolumes, volumesOf, volumeWith } from "./volumes";
import { serverWords, shellWords } from "./words";

/** What is read of all containers together before LiteLLM's config is. */
export interface ReadContainers {
  /** Models of the draft by the addresses of their old servers. */
  local: Map<string, string>;
  /** LiteLLM's configs on the host, with the environment of their containers and the volume that brings them. */
  gateways: { path: string; env?: Input; input: Input; volume?: Input }[];
  /** Directories of Ollama's models on the host, with the services that use them. */
  ollamas: { models: string; input: Input; container: OldContainer }[];
  /** Directories of hub caches on the host. */
  hubs: string[];
}

interface About {
  draft: Draft;
  /** Folder of the compose file, which relative paths start from. */
  folder: string;
  /** The compose file; undefined for containers that run. */
  file?: string;
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
  const models = role === "ollama" ? hostPath("/root/.ollama/models", binds) : undefined;
  if (models) {
    read.ollamas.push({ models, input: service, container: containerOf(service, about) });
    return;
  }
  if (role === "litellm") {
    draft.containers.push(containerOf(service, about));
    readGateway(service, { ...about, words, binds, ports }, read);
    return;
  }
  if (role === "llama-swap") {
    service.lose("import its config.yaml too: it has the models");
    return;
  }
  readModel(service, role, { ...about, words, binds, ports }, read);
}

function containerOf(service: Input, { file }: Pick<About, "file">): OldContainer {
  const own = service.at("container_name")?.read(z.string());
  return own === undefined ? { name: service.name, file } : { name: own };
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
      // An image of somebody's own may know more flags than the pinned one.
      ownImage: ownImageOf(service) !== undefined,
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
  draft.containers.push({ ...containerOf(service, model), model: name });
  service.at("container_name")?.carry(to);
  if (service.at("entrypoint") && service.at("command")) service.at("entrypoint")!.carry(`${to}.engine`);
  giveAccelerators(service, { entry, to, draft, host });
  readOwnContainer(service, engine, { entry, to, draft });
  if (service.at("profiles")) {
    entry.start = "manual";
    service.at("profiles")!.carry(`${to}.start`);
    draft.remark(`${to}.start`, "Its profile started it only when somebody asked for that.");
  }
  read.hubs.push(...readVolumes(service.at("volumes"), model, entry, to));
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
  { words, binds, ports, draft, folder }: Model,
  read: ReadContainers,
): void {
  const flag = flagValue(words, "--config") ?? flagValue(words, "-c");
  const inside = flag && resolve("/app", flag);
  const path = inside && hostPath(inside, binds);
  draft.oldPort ??= ports[0]?.host;
  if (ports[0]) service.at("ports", 0)?.carry("gpubox:gateway.port");
  service.at("image")?.carry("gpubox:gateway");
  for (const key of ["container_name", "entrypoint", "command"]) service.at(key)?.carry("gpubox:gateway");
  service.house("gpubox:gateway");
  const env = service.at("environment");
  const volume = inside && volumeWith(inside, service.at("volumes"), folder);
  if (path) read.gateways.push({ path, env, input: service, volume: volume || undefined });
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

function flagValue(words: string[], flag: string): string | undefined {
  for (const [index, word] of words.entries()) {
    if (word === flag) return words[index + 1];
    if (word.startsWith(`${flag}=`)) return word.slice(flag.length + 1);
  }
  return undefined;
}

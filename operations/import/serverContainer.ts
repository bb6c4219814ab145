import { z } from "zod";
import type { EngineName } from "../../configs/engines";
import { ownContainer } from "../../configs/schema/ownContainer";
import type { Draft, Entry } from "./draft";
import type { Input } from "./input";

/** The engines' own repositories: gpubox has a pinned version of each. */
const OFFICIAL =
  /^((docker\.io\/)?(vllm\/vllm-openai|lmsysorg\/sglang|ollama\/ollama|intel\/vllm)|ghcr\.io\/(ggml-org|ggerganov)\/llama\.cpp|ghcr\.io\/mostlygeek\/llama-swap|ghcr\.io\/huggingface\/text-embeddings-inference|ghcr\.io\/(speaches-ai\/speaches|fedirz\/faster-whisper-server)|nvcr\.io\/nvidia\/tensorrt-llm\/release|(docker\.io\/)?rocm\/(vllm|sgl-dev))(-[a-z]+)?$/;

/** The image of a service that its entry names: somebody's own, which a registry has by a tag. */
export function ownImageOf(service: Input): { repository: string; tag: string } | undefined {
  const { official, named } = imageOf(service.at("image")?.read(z.string()) ?? "");
  return official || service.at("build") ? undefined : named;
}

/** What an image is that an entry could name: one of an engine's own releases, or somebody's. */
function imageOf(image: string): { official: boolean; named?: { repository: string; tag: string } } {
  const [whole = "", digest] = image.split("@");
  const [, repository = whole, tag = "latest"] = /^(.*?):([^:/]+)$/.exec(whole) ?? [];
  const named = { repository, tag };
  // A name without a path is nearly always one that was built on that host, which no registry has.
  const usable =
    digest === undefined && repository.includes("/") && ownContainer.image.safeParse(named).success;
  return { official: OFFICIAL.test(repository), ...(usable ? { named } : {}) };
}

/** What a service says of its container beside its command and its GPUs. */
export function readOwnContainer(
  service: Input,
  engine: EngineName,
  { entry, to, draft }: { entry: Entry; to: string; draft: Draft },
): void {
  readImage(service, entry, to, draft);
  readUlimits(service.at("ulimits"), entry, to);
  readDevices(service.at("devices"), entry, to);
  const shm = mebibytes(service.at("shm_size")?.value);
  if (shm !== undefined && shm >= 64 && engine !== "ollama") {
    entry.shmMiB = shm;
    service.at("shm_size")!.carry(`${to}.shmMiB`);
  }
  const limit = service.at("mem_limit") ?? service.at("deploy", "resources", "limits", "memory");
  const memory = mebibytes(limit?.value);
  if (limit && memory) {
    entry.memoryMiB = memory;
    limit.carry(`${to}.memoryMiB`);
  }
}

function readImage(service: Input, entry: Entry, to: string, draft: Draft): void {
  const input = service.at("image");
  const text = input?.read(z.string()) ?? "";
  const { official, named } = imageOf(text);
  const own = ownImageOf(service);
  if (official || !input) {
    input?.carry(`${to}.engine`);
    if (named)
      draft.remark(
        `${to}.engine`,
        `The old server ran ${text}. To keep that version, write image: { repository: ${named.repository}, tag: ${named.tag} }.`,
      );
  } else if (own) {
    entry.image = own;
    input.carry(`${to}.image`);
  } else
    input.lose(
      "gpubox runs its own image of this engine; push yours to a registry by a tag, and name it in `image: { repository, tag }`",
    );
  service
    .at("build")
    ?.lose("gpubox builds no images of others; push yours to a registry and name it in `image`");
}

const number = z.union([z.number(), z.string().regex(/^-?\d+$/)]).transform(Number);

function readUlimits(ulimits: Input | undefined, entry: Entry, to: string): void {
  const found: Record<string, unknown> = {};
  for (const one of ulimits?.children() ?? []) {
    const [both, soft, hard] = [one, one.at("soft"), one.at("hard")].map((input) => input?.read(number));
    const value = both ?? (soft !== undefined && hard !== undefined ? { soft, hard } : undefined);
    if (!["memlock", "stack", "nofile"].includes(one.name)) one.lose("gpubox has no key for this limit");
    else if (value !== undefined) {
      found[one.name] = value;
      one.carry(`${to}.ulimits.${one.name}`, true);
    }
  }
  if (Object.keys(found).length > 0) entry.ulimits = found;
}

/** Device files that say which GPUs the container has: those are `gpu`. */
const OF_GPU = /^\/dev\/(dri(\/.*)?|kfd|nvidia(\d+|ctl|-uvm|-uvm-tools|-modeset)|dxg)$/;

function readDevices(devices: Input | undefined, entry: Entry, to: string): void {
  const found: string[] = [];
  for (const one of devices?.children() ?? []) {
    const path = deviceOf(one);
    if (!one.untouched || OF_GPU.test(path)) one.lose("`gpu` gives the container its device files");
    else if (ownContainer.devices.safeParse([path]).success) {
      one.carry(`${to}.devices[${found.length}]`);
      found.push(path);
    } else one.lose("it is no accelerator, and a container with it could reach the host's disks or memory");
  }
  if (found.length > 0) entry.devices = found;
}

/** The host's path of a device, in each form that Compose has. */
export function deviceOf(input: Input): string {
  return String(input.at("source")?.value ?? input.value).split(":")[0]!;
}

function mebibytes(value: unknown): number | undefined {
  const [, number, unit = "b"] = /^(\d+(?:\.\d+)?)\s*([bkmg])?i?b?$/i.exec(String(value ?? "")) ?? [];
  if (number === undefined) return undefined;
  const factor = { b: 1 / 1024 ** 2, k: 1 / 1024, m: 1, g: 1024 }[unit.toLowerCase()] ?? 1;
  return Math.floor(Number(number) * factor);
}

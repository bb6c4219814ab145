/** What containers of engines have in common: devices, command lines, health checks, deadlines. */

import type { z } from "zod";
import { nvidiaGpus } from "../kit/gpus";
import type { Problem } from "../kit/problems";
import { GIB, MIB } from "../kit/sizes";
import type { ContainerPlan } from "../kit/types";
import type { LockedModel } from "../models/facts";
import type { GpuConfig } from "../schema/gpu";
import type { ModelGpu } from "../schema/gpuUse";
import type { HostConfig } from "../schema/host";
import { givenFlags, knowing, ownerOf, type Parser } from "./spelling";

/** What an entry computes on. */
export interface Accelerator {
  kind: "nvidia" | "amd" | "intel" | "cpu";
  /** The declared devices, in the entry's order. */
  devices: GpuConfig[];
}

export function acceleratorOf(gpu: ModelGpu | undefined, host: HostConfig): Accelerator {
  const devices = (gpu?.devices ?? []).flatMap((id) => host.gpus.find((device) => device.id === id) ?? []);
  return { kind: devices[0]?.vendor ?? "cpu", devices };
}

/** `gpu.memoryGiB` as a share of the smallest of its devices, three digits, rounded down; undefined where it is not said. */
export function declaredShare(gpu: ModelGpu | undefined, host: HostConfig): number | undefined {
  if (!gpu?.memoryGiB) return undefined;
  const smallest = Math.min(...acceleratorOf(gpu, host).devices.map(({ memoryGiB }) => memoryGiB));
  return Math.floor((gpu.memoryGiB / smallest) * 1000) / 1000;
}

/** A container's part of a plan that gives it these devices, and no other. */
export function deviceAccess(
  gpu: ModelGpu | undefined,
  host: HostConfig,
): Pick<ContainerPlan, "gpu" | "devices" | "groupAdd" | "env"> {
  const { kind } = acceleratorOf(gpu, host);
  const ids = (gpu?.devices ?? []).map(String);
  switch (kind) {
    case "nvidia":
      return { gpu: nvidiaGpus(ids, host.gpuAccess), env: {} };
    case "amd":
      return {
        gpu: { vendor: kind, ids },
        devices: ["/dev/dri", "/dev/kfd"],
        groupAdd: host.gpuGroups.map(String),
        env: { ROCR_VISIBLE_DEVICES: ids.join(",") },
      };
    case "intel":
      return {
        gpu: { vendor: kind, ids },
        devices: ["/dev/dri"],
        groupAdd: host.gpuGroups.map(String),
        env: { ZE_AFFINITY_MASK: ids.join(",") },
      };
    case "cpu":
      // Images that ask for every GPU get none, also where NVIDIA's runtime is the engine's default.
      return {
        env: host.gpus.some(({ vendor }) => vendor === "nvidia") ? { NVIDIA_VISIBLE_DEVICES: "void" } : {},
      };
  }
}

const VENDORS = { nvidia: "NVIDIA", amd: "AMD", intel: "Intel", cpu: "CPU" };

/** Mistakes in the devices of an entry. `kinds`: what the engine has an image for. */
export function checkDevices(
  engine: string,
  gpu: ModelGpu | undefined,
  host: HostConfig,
  path: string,
  kinds: Accelerator["kind"][],
): Problem[] {
  if (!gpu)
    return kinds.includes("cpu")
      ? []
      : [{ path, what: `${engine} has no image for the CPU.`, fix: "Name its GPUs: gpu: { devices: [0] }." }];
  const declared = host.gpus.map(({ id }) => String(id));
  const unknown = gpu.devices.filter((id) => !declared.includes(String(id)));
  if (unknown.length > 0)
    return [
      {
        path: `${path}.gpu.devices`,
        what: `The host declares no device ${unknown.join(", ")}.`,
        fix:
          declared.length > 0
            ? `Use one of: ${declared.join(", ")}, or add it to gpubox:host.gpus.`
            : "Declare it: gpubox:host gpus: [{ id: 0, memoryGiB: 24 }].",
        judgedBy: { paths: ["gpubox:host.gpus"] },
      },
    ];
  const { kind, devices } = acceleratorOf(gpu, host);
  const problems: Problem[] = [];
  if (new Set(devices.map(({ vendor }) => vendor)).size > 1)
    problems.push({
      path: `${path}.gpu.devices`,
      what: "The devices are of two vendors.",
      fix: "Name devices of one vendor; each has images of its own.",
    });
  if (new Set(gpu.devices.map(String)).size < gpu.devices.length)
    problems.push({ path: `${path}.gpu.devices`, what: "A device stands twice.", fix: "Name each once." });
  if (!kinds.includes(kind))
    problems.push({
      path: `${path}.gpu`,
      what: `${engine} has no image for ${VENDORS[kind]} GPUs${host.arch === "arm64" ? " on arm64" : ""}.`,
      fix: "Use an engine that has one (llamacpp, vllm, ollama), or leave `gpu` out where the engine runs on the CPU.",
    });
  if ((kind === "amd" || kind === "intel") && host.gpuGroups.length === 0)
    problems.push({
      path: "gpubox:host.gpuGroups",
      what: `The groups of ${VENDORS[kind]}'s device files are not known, and a container without them finds no GPU.`,
      fix: `Write the numbers that stat -c %g ${kind === "amd" ? "/dev/kfd " : ""}/dev/dri/renderD128 prints on the host.`,
    });
  if (kind === "intel" && gpu.devices.some((id) => typeof id !== "number"))
    problems.push({
      path: `${path}.gpu.devices`,
      what: "Intel's GPUs are chosen by their index.",
      fix: "Write the indexes that `xpu-smi discovery` shows, in gpubox:host.gpus too.",
    });
  return problems;
}

type Value = string | number | boolean | undefined;

/**
 * Flags of a command line, in the order of the record. `true` is the bare flag; `false` and undefined leave it out; a list
 * gives the flag several words.
 */
export function flags(values: Record<string, Value | string[]>): string[] {
  return Object.entries(values).flatMap(([flag, value]) => {
    if (value === undefined || value === false) return [];
    if (value === true) return [flag];
    return Array.isArray(value) ? (value.length > 0 ? [flag, ...value] : []) : [flag, String(value)];
  });
}

/** A row of an engine's table of options: flags of its command line, or variables of its environment. */
export interface Option {
  /** The flag or variable that gpubox writes. Absent for a key that becomes none. */
  flag?: string;
  /** Every name that sets the same thing, `flag` included. */
  names: string[];
  /** What the entry's key of the row's name may hold. Absent where the plan decides. */
  type?: z.ZodType;
  /**
   * The key of the entry that decides. Default: the row's own. An empty text: nobody may set it. `null`: `extraArgs` and
   * `env` may hold it too.
   */
  owner?: string | null;
}

/** A row for a key of the entry. `names` are words: the one that gpubox writes, then others that set the same thing. */
export function option<Type extends z.ZodType>(names: string, type: Type, owner?: null) {
  return { ...planned(names), type, owner };
}

/** A row for what the plan decides. */
export function planned(names: string, owner: string | null = null): Option & { flag: string } {
  const words = names.split(" ");
  return { flag: words[0]!, names: words, owner };
}

/** A row for a key of the entry that is no flag. `names`: flags that would set the same thing all the same. */
export function setting<Type extends z.ZodType>(
  type: Type,
  names = "",
): { names: string[]; type: Type; owner?: string } {
  return { names: names.split(" ").filter(Boolean), type };
}

type Keys<Options> = {
  [Key in keyof Options as Options[Key] extends { type: z.ZodType } ? Key : never]: Options[Key] extends {
    type: infer Type;
  }
    ? Type
    : never;
};

/** What the rows with a flag hold. What the plan decides has to have a value, if only undefined. */
type Values<Options, Type> = {
  [Key in keyof Options as Options[Key] extends { type: z.ZodType } ? never : Key]: Type;
} & {
  [Key in keyof Options as Options[Key] extends { flag: string; type: z.ZodType } ? Key : never]?: Type;
};

/** The keys that a table of options gives an entry. */
export function keysOf<const Options extends Record<string, Option>>(options: Options): Keys<Options> {
  const keys = Object.entries(options).flatMap(([key, { type }]) => (type ? [[key, type]] : []));
  return Object.fromEntries(keys) as Keys<Options>;
}

function written(options: Record<string, Option>, values: Record<string, Value | string[]>) {
  return Object.entries(options).flatMap(([key, { flag }]) =>
    flag === undefined ? [] : [{ flag, value: values[key] }],
  );
}

/** The command line of a table of options, in its order. */
export function commandOf<Options extends Record<string, Option>>(
  options: Options,
  values: Values<Options, Value | string[]>,
): string[] {
  return written(options, values).flatMap(({ flag, value }) => flags({ [flag]: value }));
}

/** The environment of a table of options, in its order. `true` is 1; `false` and undefined leave the variable out. */
export function environmentOf<Options extends Record<string, Option>>(
  options: Options,
  values: Values<Options, Value>,
): Record<string, string> {
  const variables = written(options, values).filter(({ value }) => value !== undefined && value !== false);
  return Object.fromEntries(variables.map(({ flag, value }) => [flag, value === true ? "1" : String(value)]));
}

/** The names that {@link checkExtraArgs} and {@link checkEnv} refuse: those of a table, and `nobodys`. */
export function ownedNames(options: Record<string, Option>, nobodys: string[] = []): Record<string, string> {
  const owned = Object.entries(options).flatMap(([key, { names, owner = key }]) =>
    owner === null ? [] : names.map((name) => [name, owner]),
  );
  return Object.fromEntries([...owned, ...nobodys.map((name) => [name, ""])]);
}

/**
 * Refuses flags in `extraArgs` that the plan sets: a second value would silently win, or break the health check.
 *
 * @param owned flag to the key that sets it; an empty text where nobody may
 * @param parser how the engine reads its command line. Default: flags as they are, and `--flag=value`
 */
export function checkExtraArgs(
  extraArgs: string[],
  owned: Record<string, string>,
  path: string,
  parser: Parser = {},
): Problem[] {
  return givenFlags(extraArgs, knowing(parser, Object.keys(owned))).flatMap(({ flag, as }) => {
    const owner = ownerOf(owned, flag);
    if (owner === undefined) return [];
    return [
      {
        path: `${path}.extraArgs`,
        what: `"${as}" is set by gpubox.`,
        fix: owner ? `Use the entry's own key for it: ${owner}.` : "Leave it out.",
      },
    ];
  });
}

/** Refuses variables in `env` that the plan sets. */
export function checkEnv(env: Record<string, string>, owned: string[], path: string): Problem[] {
  return Object.keys(env)
    .filter((name) => owned.includes(name))
    .map((name) => ({
      path: `${path}.env.${name}`,
      what: `${name} is set by gpubox.`,
      fix: "Use the entry's own key for it, or leave it out.",
    }));
}

/**
 * Docker's health check by HTTP with bash alone: most engines' images have neither curl nor wget, and a Python interpreter
 * every few seconds is a cost of its own. Exit code 0 only for a 200.
 */
export function bashHealth(port: number, path: string): string[] {
  const request = `GET ${path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n`;
  return [
    "CMD",
    "bash",
    "-c",
    `exec 3<>/dev/tcp/127.0.0.1/${port} && printf '${request}' >&3 && read -r status <&3 && [[ $status == *' 200'* ]]`,
  ];
}

/** Seconds for the container, its interpreter and the GPU's driver on a busy host. */
const BASE_SECONDS = 240;

/** Bytes a second of a slow disk: a hard disk or a network share. An NVMe disk reads twenty times as fast. */
const SLOW_DISK = 150_000_000;

/**
 * Seconds that a start may take. It grows with what has to be read, so that a 235B model is not given up while it loads and
 * a small one that hangs is noticed within minutes.
 *
 * @param compileSeconds what the engine spends on compilation and warm-up beside reading
 */
export function readyDeadline(weightBytes: number, compileSeconds: number): number {
  return BASE_SECONDS + Math.ceil(weightBytes / SLOW_DISK) + compileSeconds;
}

/** MiB of a server beside what the plan keeps in the host's memory: its program, its buffers, its driver's. */
const PROGRAM_MIB = 2048;

/**
 * The limit of a container's main memory: `memoryMiB`, and never less than the planner keeps there by the entry's own settings.
 *
 * @param caches MiB of caches in the host's memory
 */
export function withHostPart(memoryMiB: number, knobs: { hostMiB?: number } | undefined, caches = 0): number {
  return knobs?.hostMiB ? Math.max(memoryMiB, knobs.hostMiB + caches + PROGRAM_MIB) : memoryMiB;
}

/**
 * The deadline of an entry: its own `readySeconds`, else from the locked size. A model that is not locked cannot be bigger
 * than the memory that it is given.
 */
export function readySeconds(
  model: { readySeconds?: number; memoryMiB: number; gpu?: ModelGpu },
  { host, locked }: { host: HostConfig; locked?: LockedModel },
  compileSeconds: number,
): number {
  if (model.readySeconds) return model.readySeconds;
  const onDevices = host.gpus
    .filter(({ id }) => model.gpu?.devices.includes(id))
    .reduce((sum, { memoryGiB }) => sum + (model.gpu?.memoryGiB ?? memoryGiB), 0);
  const most = model.gpu ? onDevices * GIB : model.memoryMiB * MIB;
  return readyDeadline(locked?.weightBytes ?? most, compileSeconds);
}

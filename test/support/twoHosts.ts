import { ConfigError } from "../../configs/kit/problems";
import type { ModelLock } from "../../configs/models/facts";
import { parseStack } from "../../configs/parse";
import { planBox } from "../../configs/plan/box";
import type { BoxFiles } from "../../configs/remotes/files";
import { packageDir } from "../../platform/project";
import { loadAssets } from "../../platform/stack/assets";
import { everyImage } from "./engines";
import { rawStack } from "./stacks";

type Values = Record<string, unknown>;

/** The stack files of hosts that share a model, by stack. */
export type Hosts = Record<string, Values>;

const gpus = (count: number) => Array.from({ length: count }, (_, id) => ({ id, memoryGiB: 80 }));

/** A model over hosts `gpu1`, `gpu2`, …, each with so many devices. Rank 0's entry and the joins may say more. */
export function spread(
  hosts: number,
  devices: number,
  entry: Values = {},
  { host = {}, join = {} }: { host?: Values; join?: Values } = {},
): Hosts {
  const gpu = devices > 0 ? { gpu: { devices: gpus(devices).map(({ id }) => id), memoryGiB: 70 } } : {};
  const stacks = Array.from({ length: hosts }, (_, rank) => `gpu${rank + 1}`);
  const workers = stacks.slice(1).map((stack, index) => ({ stack, address: `10.77.0.${index + 2}` }));
  const giant = {
    ...{ engine: "vllm", model: "hf://acme/giant", ...gpu },
    nodes: { network: "fabric", address: "10.77.0.1", workers },
    ...entry,
  };
  const first: Hosts = { gpu1: { host: { gpus: gpus(devices) }, models: { giant } } };
  for (const stack of stacks.slice(1))
    first[stack] = {
      host: { gpus: gpus(devices), ...host },
      joins: { giant: { stack: "gpu1", ...gpu, ...join } },
    };
  return first;
}

function rawOf(hosts: Hosts, stack: string, lock?: ModelLock) {
  const boxFiles: BoxFiles = Object.fromEntries(
    Object.entries(hosts).map(([name, values]) => [name, { values, secrets: [] }]),
  );
  return { ...rawStack(hosts[stack]), stack, boxFiles, ...(lock && { lock }) };
}

/** What one of the hosts runs. */
export function planOf(hosts: Hosts, stack: string, lock?: ModelLock) {
  const raw = rawOf(hosts, stack, lock);
  return planBox({
    config: parseStack(raw),
    lock,
    secrets: raw.secrets,
    saltFingerprint: "",
    resolved: everyImage,
    assets: loadAssets(packageDir),
  });
}

/** `path: what fix` of every mistake of one of the stacks. */
export function refusedOf(hosts: Hosts, stack = "gpu1", lock?: ModelLock): string[] {
  try {
    planOf(hosts, stack, lock);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, what, fix }) => `${path}: ${what} ${fix}`);
  }
}

/** The value of each of these flags on a command line; `true` for a bare one. */
export function flagsIn(command: string[], flags: string[]): Record<string, string | true | undefined> {
  return Object.fromEntries(
    flags.map((flag) => {
      const at = command.indexOf(flag);
      const next = command[at + 1];
      if (at < 0) return [flag, undefined];
      return [flag, next === undefined || next.startsWith("--") ? true : next];
    }),
  );
}

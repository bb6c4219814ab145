/** One model's server over several hosts: its ranks, and what each one's command line says of them. */

import type { Problem } from "../kit/problems";
import { hashOf } from "../kit/text";
import type { NodesConfig } from "../schema/nodes";
import type { Option } from "./options";
import { givenFlags, type Parser } from "./spelling";

/** The part of a model's server that one host runs. */
export interface Ranks {
  /** 0: the host that answers. */
  rank: number;
  /** Address and stack of each host, in the order of their ranks. */
  hosts: { address: string; stack: string }[];
  network: string;
  /** Where the engines of all hosts find that of rank 0. The port below it is where the ranks wait for each other. */
  port: number;
  /** Hash of what all ranks must have in common. */
  generation: string;
}

/** What an entry that may span hosts has, as far as its ranks go. */
export interface Spanning {
  engine: string;
  nodes?: NodesConfig;
  gpu?: { devices: unknown[] };
  pipelineParallelSize?: number;
  dataParallelSize?: number;
  extraArgs: string[];
  env: Record<string, string>;
}

/** Hosts of a model. */
export function hostsOf({ nodes }: Pick<Spanning, "nodes">): number {
  return 1 + (nodes?.workers.length ?? 0);
}

/** Devices of all its hosts together; undefined for one on the CPU of a single host. */
export function devicesOfAll({ nodes, gpu }: Pick<Spanning, "nodes" | "gpu">): number | undefined {
  return nodes ? hostsOf({ nodes }) * (gpu?.devices.length ?? 1) : gpu?.devices.length;
}

/**
 * The ranks of an entry; undefined for a model of one host.
 *
 * @param stack of the entry: the host of rank 0
 * @param keys of the entry that its command line is made of
 */
export function ranksOf(entry: Spanning, stack: string, rank: number, keys: string[]): Ranks | undefined {
  const { nodes, gpu } = entry;
  if (!nodes) return undefined;
  const given = entry as unknown as Record<string, unknown>;
  const generation = hashOf({
    ...Object.fromEntries(keys.filter((key) => given[key] !== undefined).map((key) => [key, given[key]])),
    ...{ engine: entry.engine, extraArgs: entry.extraArgs, env: entry.env, nodes },
    devices: gpu?.devices.length ?? 0,
  });
  return {
    rank,
    hosts: [{ stack, address: nodes.address }, ...nodes.workers],
    network: nodes.network,
    port: portOf(generation),
    generation,
  };
}

/** 20001 to 29991, the last digit 1: engines take some ports after it. Ranks of two generations wait at two ports, and never meet. */
function portOf(generation: string): number {
  return 20_001 + 10 * (Number.parseInt(generation.slice(0, 8), 16) % 1000);
}

/** Names of what an entry with `nodes` says by that key alone. */
export function flagsOfNodes(options: Record<string, Option>, keys: string[]): string[] {
  return keys.flatMap((key) => options[key]?.names ?? []);
}

/** Refuses flags that say again, or otherwise, which hosts a model's server spans. */
export function checkNodeFlags(entry: Spanning, flags: string[], path: string, parser: Parser): Problem[] {
  if (!entry.nodes) return [];
  const given = givenFlags(entry.extraArgs, parser).filter(({ flag }) =>
    flag.names.some((name) => flags.includes(name)),
  );
  return given.map(({ as }) => ({
    path: `${path}.extraArgs`,
    what: `"${as}" is set by gpubox for a model over several hosts.`,
    fix: "Leave it out: `nodes` says all of it.",
  }));
}

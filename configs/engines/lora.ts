import { z } from "zod";
import type { MountPlan, StepPlan } from "../kit/containerPlan";
import type { Problem } from "../kit/problems";
import { ADAPTER } from "../models/repository";
import { modelName } from "../schema/shared";
import type { EngineContext, NamedSource } from "./engine";
import { parseSource, SOURCE, weightsDirectory } from "./source";

/** Adapters by the public names that clients write. */
export const loraOption = z
  .record(modelName, z.string())
  .default({})
  .describe(
    "LoRA adapters: public name to hf://owner/repo[@revision] or file:///directory/on/the/host. Each is a model of its own for clients.",
  );

/** An entry's adapters as its sources. `key`: the key that names them. */
export function loraSources(adapters: Record<string, string>, key: string): NamedSource[] {
  return Object.entries(adapters).map(([name, source]) => ({
    key: `${key}.${name}`,
    source,
    holds: "adapter",
  }));
}

/** The words of --lora-modules (--lora-paths), the directories that hold the adapters, and how they get to the host. */
export function loraModules(
  adapters: Record<string, string>,
  context: EngineContext,
): { modules: string[]; mounts: MountPlan[]; fetch: StepPlan[] } {
  const found = Object.entries(adapters).map(([name, source]) => ({
    name,
    ...weightsDirectory(source.replace(/\/+$/, ""), context, ADAPTER),
  }));
  const unlike = found.filter(({ path }, index) => found.findIndex((one) => one.path === path) === index);
  return {
    modules: found.map(({ name, path }) => `${name}=${path}`),
    mounts: unlike.map(({ mount }) => mount),
    fetch: unlike.flatMap(({ fetch }) => fetch),
  };
}

/** @param key the key of the entry that names them */
export function checkLora(adapters: Record<string, string>, key: string, path: string): Problem[] {
  return Object.entries(adapters)
    .filter(([, source]) => !isDirectory(source))
    .map(([name, source]) => ({
      path: `${path}.${key}.${name}`,
      what: `"${source}" is no repository of a hub and no directory on the host.`,
      fix: "Write hf://owner/repo[@revision], or file:///path/of/the/adapter.",
    }));
}

function isDirectory(source: string): boolean {
  if (!SOURCE.test(source)) return false;
  const parsed = parseSource(source);
  return parsed.from === "host" || parsed.file === undefined;
}

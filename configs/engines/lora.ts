import { z } from "zod";
import type { MountPlan } from "../plan/types";
import type { Problem } from "../problems";
import { modelName } from "../schema/shared";

/** Adapters by the public names that clients write. */
export const loraOption = z
  .record(modelName, z.string())
  .default({})
  .describe(
    "LoRA adapters: public name to file:///directory/on/the/host. Each is a model of its own for clients.",
  );

/** The words of --lora-modules (--lora-paths), and the directories that hold the adapters. */
export function loraModules(adapters: Record<string, string>): { modules: string[]; mounts: MountPlan[] } {
  const entries = Object.entries(adapters).map(([name, source]) => ({ name, path: pathOf(source) }));
  const paths = [...new Set(entries.map(({ path }) => path))];
  return {
    modules: entries.map(({ name, path }) => `${name}=${path}`),
    mounts: paths.map((path) => ({ kind: "directory", source: path, target: path, readOnly: true })),
  };
}

export function checkLora(adapters: Record<string, string>, path: string): Problem[] {
  return Object.entries(adapters)
    .filter(([, source]) => !/^file:\/\/\/[\w./-]+$/.test(source))
    .map(([name, source]) => ({
      path: `${path}.loraModules.${name}`,
      what: `"${source}" is no directory on the host.`,
      fix: "Write file:///path/of/the/adapter.",
    }));
}

function pathOf(source: string): string {
  return source.slice("file://".length).replace(/\/+$/, "");
}

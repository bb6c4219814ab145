import { isMap } from "../kit/maps";
import type { Problem } from "../kit/problems";
import { suggestion } from "../kit/problems";
import { type JoinsConfig, joinsSchema, nodesOption } from "../schema/nodes";
import type { BoxFiles } from "./files";

/** A model of another stack whose server has a rank on this host. */
export interface Joined {
  /** The stack whose gateway serves it. */
  stack: string;
  rank: number;
  /** Its entry there as this host sees it: the same server, on the devices of this one. */
  entry: Record<string, unknown>;
}

/** What only the host of rank 0 does for a model: everything towards clients. */
const OF_RANK_0 = [
  ...["aliases", "profiles", "expose", "routes", "params", "info", "price", "baseModel", "tags"],
  ...["rpm", "tpm", "maxParallel", "budget", "timeoutSeconds", "holdSeconds", "chatTemplate", "recipe"],
];

/**
 * Reads in the files of other stacks what this one joins.
 *
 * @param own names of this stack's own entries
 */
export function joinedModels(
  stack: string,
  values: Record<string, unknown>,
  boxFiles: BoxFiles,
): { joined: Record<string, Joined>; problems: Problem[] } {
  const parsed = joinsSchema.safeParse(values.joins ?? {});
  // `parseStack` reports mistakes in the section itself.
  if (!parsed.success) return { joined: {}, problems: [] };
  const joined: Record<string, Joined> = {};
  const problems: Problem[] = [];
  const own = isMap(values.models) ? Object.keys(values.models) : [];
  for (const [name, join] of Object.entries(parsed.data).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const found = own.includes(name)
      ? {
          what: `"${name}" is a model of this stack's own.`,
          fix: "Rename one of the two: their containers and caches would have the same names.",
        }
      : joinedModel(stack, name, join, boxFiles);
    if ("what" in found) problems.push({ path: `gpubox:joins.${name}`, ...found });
    else joined[name] = found;
  }
  return { joined, problems };
}

function joinedModel(
  own: string,
  name: string,
  { stack, gpu }: JoinsConfig[string],
  boxFiles: BoxFiles,
): Joined | { what: string; fix: string } {
  const file = boxFiles[stack];
  if (!file) return { what: `Pulumi.${stack}.yaml was not read.`, fix: "Name another stack." };
  if ("unreadable" in file) return file.unreadable;
  const models = isMap(file.values.models) ? file.values.models : {};
  const entry = models[name];
  if (!isMap(entry))
    return {
      what: `Pulumi.${stack}.yaml has no model "${name}".`,
      fix: Object.keys(models).length > 0 ? suggestion(name, Object.keys(models)) : "Remove it.",
    };
  const nodes = nodesOption.safeParse(entry.nodes);
  if (!nodes.success)
    return {
      what: `The nodes of ${name} in Pulumi.${stack}.yaml have mistakes.`,
      fix: `\`gpubox preview --stack ${stack}\` lists them.`,
    };
  const rank = 1 + (nodes.data?.workers.findIndex((worker) => worker.stack === own) ?? -1);
  if (rank === 0)
    return {
      what: `${name} of the stack ${stack} does not span this host.`,
      fix: `Write there nodes.workers: [{ stack: ${own}, address: … }], or remove it here.`,
    };
  const kept = Object.entries(entry).filter(([key]) => !OF_RANK_0.includes(key) && key !== "gpu");
  return { stack, rank, entry: { ...Object.fromEntries(kept), ...(gpu && { gpu }) } };
}

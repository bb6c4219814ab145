import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Resolved } from "../configs/plan/types";
import { UserError } from "./process";

const image = z.object({ reference: z.string(), source: z.enum(["digest", "recipe"]) });

export const resolvedSchema = z.object({
  images: z.object({ gateway: image, edge: image, cache: image, database: image, llamacpp: image }),
  offlineModels: z.array(z.string()),
  knownModels: z.array(z.string()),
});

/** Where `npm run up` records what this machine could get, so that a preview needs no network. */
export function resolvedPath(projectDir: string, stack: string): string {
  return join(projectDir, ".gpubox", `resolved.${stack}.json`);
}

/**
 * Reads that record.
 *
 * @throws UserError when there is none yet
 */
export function readResolved(projectDir: string, stack: string): Resolved {
  const path = resolvedPath(projectDir, stack);
  if (!existsSync(path))
    throw new UserError(
      `It is not known yet which images the stack ${stack} runs.`,
      `Run \`npm run up -- --stack ${stack}\` once, or \`npm run images -- resolve --stack ${stack}\`.`,
    );
  return resolvedSchema.parse(JSON.parse(readFileSync(path, "utf8")));
}

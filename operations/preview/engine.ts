import { z } from "zod";
import { findPulumi, pulumi } from "../../platform/pulumi/engine";

const previewed = z.object({ changeSummary: z.record(z.string(), z.number()).default({}) });

/** The counts of Pulumi's own preview, or why there are none. It needs the stack's state and passphrase. */
export type EngineView = { counts: Record<string, number> } | { reason: string };

/**
 * Asks the engine what it would do: number of resources by operation. Never throws, because a reviewer has the plan
 * anyway.
 */
export async function enginePreview(projectDir: string, stack: string): Promise<EngineView> {
  const engine = await findPulumi(projectDir);
  if (!engine) return { reason: "no Pulumi engine is installed" };
  const result = await pulumi(engine, ["preview", "--json", "--stack", stack]);
  const found = previewed.safeParse(parsed(result.stdout));
  if (result.code === 0 && found.success) return { counts: found.data.changeSummary };
  const words = result.stderr
    .trim()
    .split("\n")
    .find((line) => line.startsWith("error:"));
  return { reason: words ?? `\`pulumi preview\` ended with exit code ${result.code}` };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

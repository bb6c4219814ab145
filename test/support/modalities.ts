import { createHash } from "node:crypto";
import { z } from "zod";
import { run } from "../../platform/process";

/** A request as modalities.py printed it. */
const asked = z.object({
  method: z.string(),
  path: z.string(),
  key: z.string().nullable(),
  json: z.unknown().optional(),
  form: z
    .array(
      z.object({
        name: z.string(),
        text: z.string().optional(),
        file: z.string().optional(),
        bytes: z.number().optional(),
        sha256: z.string().optional(),
      }),
    )
    .optional(),
});

export type Asked = z.infer<typeof asked>;

/** Requests that a container with modalities.py has had, the oldest first. */
export async function askedOf(container: string): Promise<Asked[]> {
  const { stdout } = await run("docker", ["logs", container]);
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => asked.parse(JSON.parse(line)));
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

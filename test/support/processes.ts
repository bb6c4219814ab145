import { z } from "zod";
import { output, run } from "../../platform/process";

const inspected = z.array(
  z.object({ Name: z.string(), HostConfig: z.object({ PidsLimit: z.number().nullish() }) }),
);

/** Containers of a running box, its jobs' too, to the processes that each may have; 0: as many as it likes. */
export async function processLimits(stack: string, docker?: string): Promise<Record<string, number>> {
  const at = docker ? ["-H", docker] : [];
  const ids = await output("docker", [
    ...at,
    "ps",
    "--all",
    "--quiet",
    "--filter",
    `label=gpubox.stack=${stack}`,
  ]);
  if (ids === "") return {};
  const { stdout } = await run("docker", [...at, "inspect", ...ids.split("\n")]);
  return Object.fromEntries(
    inspected
      .parse(JSON.parse(stdout))
      .map(({ Name, HostConfig }) => [Name.replace(/^\//, ""), Math.max(0, HostConfig.PidsLimit ?? 0)]),
  );
}

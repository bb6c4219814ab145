import { parse } from "yaml";
import { z } from "zod";
import { CDI_KIND } from "../../configs/kit/gpus";
import { shellQuote } from "../../configs/kit/text";
import { runOnHost } from "../machine";
import { dockerAt } from "./client";

/** What engines say of CDI. Docker 25 and newer name the folders, 28.2 and newer the devices too; a CLI shows what it knows. */
const info = z.object({
  CDISpecDirs: z.array(z.string()).nullish(),
  DiscoveredDevices: z.array(z.object({ Source: z.string(), ID: z.string() })).nullish(),
});

const description = z.object({ kind: z.string(), devices: z.array(z.object({ name: z.string() })) });

/** Stands between two files, and in none of them. */
const END = "--gpubox-end--";

/**
 * NVIDIA's devices that an engine knows by CDI: indexes, UUIDs, and UUIDs of slices. Empty where it has no CDI, or no description.
 *
 * @param docker address of the engine
 */
export async function cdiGpus(docker: string): Promise<string[]> {
  const { stdout } = await dockerAt(docker).run(["info", "--format", "{{json .}}"], { timeoutMs: 30_000 });
  const { CDISpecDirs, DiscoveredDevices } = info.safeParse(parsed(stdout)).data ?? {};
  const named = (DiscoveredDevices ?? []).flatMap(({ Source, ID }) => (Source === "cdi" ? gpuOf(ID) : []));
  if (named.length > 0 || !CDISpecDirs?.length) return named;
  const files = CDISpecDirs.flatMap((folder) =>
    ["json", "yaml"].map((ext) => `${shellQuote(folder)}/*.${ext}`),
  );
  const script = `for f in ${files.join(" ")}; do [ -r "$f" ] && cat "$f" && echo && echo ${END}; done; true`;
  return describedGpus((await runOnHost(docker, script)).split(END));
}

/** Names of NVIDIA's devices in CDI descriptions, each the text of a file; one that cannot be read has none. */
export function describedGpus(files: string[]): string[] {
  return files.flatMap((text) => {
    const found = description.safeParse(parsed(text)).data;
    return found?.kind === CDI_KIND ? found.devices.map(({ name }) => name) : [];
  });
}

function gpuOf(id: string): string[] {
  return id.startsWith(`${CDI_KIND}=`) ? [id.slice(CDI_KIND.length + 1)] : [];
}

/** YAML, which JSON is a part of. */
function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

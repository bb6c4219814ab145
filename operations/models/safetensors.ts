import {
  downloadFile,
  parseSafetensorsMetadata,
  type SafetensorsFileHeader,
  type TensorInfo,
} from "@huggingface/hub";
import { z } from "zod";
import { quantizationOfConfig, shapeOfConfig } from "../../configs/models/configShape";
import { expertTensorsOf } from "../../configs/models/experts";
import type { LockedFile, LockedModel } from "../../configs/models/facts";
import { isPartOf, TRANSFORMERS } from "../../configs/models/repository";
import { UserError } from "../../platform/process";
import { asked, type HubAccess, hubConnection } from "./hub";

type Weights = Pick<
  LockedModel,
  "weightBytes" | "layerBytes" | "inputBytes" | "quantization" | "experts" | "shape"
>;

const configSchema = z.record(z.string(), z.unknown());

/**
 * Reads config.json and the headers of a repository's safetensors files, never the weights.
 *
 * @param all every file of the repository at that commit
 * @throws UserError when the repository has no config.json or no safetensors
 */
export async function readSafetensors(
  repo: string,
  commit: string,
  all: LockedFile[],
  access: HubAccess,
): Promise<Weights & { files: LockedFile[] }> {
  const query = { repo: { type: "model" as const, name: repo }, revision: commit, ...hubConnection(access) };
  const config = await asked(repo, access, async () => {
    const file = await downloadFile({ ...query, path: "config.json" });
    return file && configSchema.parse(JSON.parse(await file.text()));
  });
  if (!config)
    throw new UserError(
      `${repo} has no config.json.`,
      "Name a repository of a transformers model, or a GGUF file.",
    );
  const parsed = await asked(repo, access, () =>
    parseSafetensorsMetadata({ ...query, path: weightsOf(all), computeParametersCount: true }),
  );
  const headers = parsed.sharded ? Object.values(parsed.headers) : [parsed.header];
  const tensors = headers.flatMap(tensorsOf);
  const bytes = (wanted: (name: string) => boolean) =>
    tensors.reduce((total, tensor) => total + (wanted(tensor.name) ? tensor.bytes : 0), 0);
  const counted = Object.values(parsed.parameterCount).reduce((total, count) => total + (count ?? 0), 0);
  const experts = expertTensorsOf(tensors);
  const pooled = all.some(({ path }) => path === "modules.json");
  return {
    weightBytes: bytes(() => true),
    layerBytes: bytes((name) => /(^|\.)(layers|h|blocks|block)\.\d+\./.test(name)),
    inputBytes: 0,
    quantization: quantizationOfConfig(config),
    ...(experts.length > 0 ? { experts } : {}),
    shape: shapeOfConfig(config, parsed.parameterTotal ?? counted, pooled),
    files: all.filter(
      ({ path }) =>
        parsed.filepaths.includes(path) || (isPartOf(TRANSFORMERS, path) && !path.endsWith(".safetensors")),
    ),
  };
}

/**
 * The shards in the index, or the single file. Other weights in the folder (an adapter, a consolidated copy) are not
 * the model.
 */
function weightsOf(all: LockedFile[]): string | undefined {
  const paths = all.map(({ path }) => path).filter((path) => !path.includes("/"));
  return (
    ["model.safetensors.index.json", "model.safetensors"].find((path) => paths.includes(path)) ??
    paths.find((path) => path.endsWith(".safetensors.index.json")) ??
    paths.find((path) => path.endsWith(".safetensors"))
  );
}

function tensorsOf({ __metadata__, ...tensors }: SafetensorsFileHeader): { name: string; bytes: number }[] {
  return Object.entries(tensors as Record<string, TensorInfo>).map(
    ([
      name,
      {
        data_offsets: [begin, end],
      },
    ]) => ({
      name,
      bytes: end - begin,
    }),
  );
}

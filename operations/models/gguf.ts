import { GGMLFileQuantizationType, GGMLQuantizationType, ggufAllShards } from "@huggingface/gguf";
import { ggmlType, rowBytes } from "../../configs/models/blocks";
import { expertTensorsOf } from "../../configs/models/experts";
import type { LockedModel, LockedPart } from "../../configs/models/facts";
import { shapeOfGguf } from "../../configs/models/ggufShape";
import { UserError } from "../../platform/process";

type Weights = Pick<
  LockedModel,
  "weightBytes" | "layerBytes" | "inputBytes" | "quantization" | "experts" | "shape"
>;

interface Gguf {
  shards: string[];
  model: Weights;
  /** The file's kind, when it is not a model by itself. */
  part?: LockedPart["holds"];
}

/** Source of a GGUF's header. */
export interface GgufPlace {
  /** URL of the first shard, or path of a file on this machine. */
  at: string;
  local: boolean;
  /** Default: plain. */
  fetch?: typeof fetch;
}

/**
 * Reads the headers of a GGUF's shards, never the weights.
 *
 * @throws UserError when it is not a GGUF, or has a tensor type that the block table lacks
 */
export async function readGguf(place: GgufPlace): Promise<Gguf> {
  const { shards, parameterCount, urls } = await ggufAllShards(place.at, {
    allowLocalFile: place.local,
    fetch: place.fetch,
  });
  const tensors = shards
    .flatMap((shard) => shard.tensorInfos)
    .map(({ name, shape, dtype }) => ({ name, bytes: tensorBytes(place.at, name, shape, dtype) }));
  const sum = (wanted: (name: string) => boolean) =>
    tensors.reduce((total, tensor) => total + (wanted(tensor.name) ? tensor.bytes : 0), 0);
  const hasOutput = tensors.some(({ name }) => name === "output.weight");
  const experts = expertTensorsOf(tensors);
  // The keys that describe the model are in the first shard.
  const metadata: Record<string, unknown> = { ...shards[0]?.metadata };
  return {
    shards: urls,
    part: partOf(metadata),
    model: {
      weightBytes: sum(() => true),
      layerBytes: sum((name) => name.startsWith("blk.")),
      inputBytes: sum((name) =>
        hasOutput
          ? /^(token_embd|per_layer_token_embd)\./.test(name)
          : name.startsWith("per_layer_token_embd."),
      ),
      quantization: fileType(metadata["general.file_type"]),
      ...(experts.length > 0 ? { experts } : {}),
      shape: shapeOfGguf(metadata, parameterCount),
    },
  };
}

/** llama.cpp's converters write a file's kind; older projectors have only their architecture. */
function partOf(metadata: Record<string, unknown>): LockedPart["holds"] | undefined {
  const type = metadata["general.type"];
  if (type === "adapter") return "adapter";
  return type === "mmproj" || metadata["general.architecture"] === "clip" ? "projector" : undefined;
}

function tensorBytes(file: string, name: string, shape: bigint[], dtype: number): number {
  const typeName = GGMLQuantizationType[dtype];
  const type = typeName && ggmlType(typeName);
  if (!type)
    throw new UserError(
      `${file} has a tensor ${name} of type ${typeName ?? dtype}, whose size is not known here.`,
      "Add the type to configs/models/blocks.ts.",
    );
  const [row = 0n, ...rest] = shape;
  return rowBytes(type, Number(row)) * Number(rest.reduce((product, length) => product * length, 1n));
}

function fileType(value: unknown): string {
  const name = typeof value === "number" ? GGMLFileQuantizationType[value] : undefined;
  return name ?? "unknown";
}

import { type GgufTensor, zeroGguf } from "./gguf";

/** Edge of an image and of one of its patches, in pixels. */
const IMAGE = 56;
const PATCH = 14;

/** Tokens that an image takes of a prompt. */
export const IMAGE_TOKENS = (IMAGE / PATCH) ** 2;

/** A PNG of one pixel. */
export const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/** Width of the canned model, into which the projector projects. */
const WIDTH = 32;

/** The smallest projector that llama.cpp loads beside the canned model, with LLaVA's layers. All of it is zero, so it sees black. */
export function tinyProjector(): Buffer {
  const matrix = (name: string, ...shape: number[]): GgufTensor => ({ name, type: "F16", shape });
  const linear = (name: string): GgufTensor[] => [
    matrix(`${name}.weight`, WIDTH, WIDTH),
    { name: `${name}.bias`, type: "F32", shape: [WIDTH] },
  ];
  const norm = (name: string): GgufTensor[] =>
    ["weight", "bias"].map((part) => ({ name: `${name}.${part}`, type: "F32", shape: [WIDTH] }));
  const layer = ["attn_q", "attn_k", "attn_v", "attn_out", "ffn_up", "ffn_down"].flatMap((part) =>
    linear(`v.blk.0.${part}`),
  );
  return zeroGguf(
    {
      "general.architecture": "clip",
      "general.type": "mmproj",
      "general.name": "eyes",
      "general.file_type": 1,
      "clip.has_vision_encoder": true,
      "clip.projector_type": "mlp",
      "clip.use_gelu": true,
      "clip.vision.image_size": IMAGE,
      "clip.vision.patch_size": PATCH,
      "clip.vision.embedding_length": WIDTH,
      "clip.vision.feed_forward_length": WIDTH,
      "clip.vision.projection_dim": WIDTH,
      "clip.vision.block_count": 1,
      "clip.vision.attention.head_count": 1,
      "clip.vision.attention.layer_norm_epsilon": 1e-5,
      "clip.vision.image_mean": [0.5, 0.5, 0.5],
      "clip.vision.image_std": [0.5, 0.5, 0.5],
    },
    [
      matrix("v.patch_embd.weight", PATCH, PATCH, 3, WIDTH),
      matrix("v.position_embd.weight", WIDTH, IMAGE_TOKENS),
      ...norm("v.post_ln"),
      ...layer,
      ...norm("v.blk.0.ln1"),
      ...norm("v.blk.0.ln2"),
      ...linear("mm.0"),
      ...linear("mm.2"),
    ],
  );
}

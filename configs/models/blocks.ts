/**
 * Elements of a block and its bytes, by ggml's name of the type. Source: llama.cpp, gguf-py/gguf/constants.py,
 * GGML_QUANT_SIZES.
 */
const BLOCKS = {
  F64: [1, 8],
  F32: [1, 4],
  F16: [1, 2],
  BF16: [1, 2],
  I8: [1, 1],
  I16: [1, 2],
  I32: [1, 4],
  I64: [1, 8],
  Q1_0: [128, 18],
  Q2_0: [64, 18],
  Q4_0: [32, 18],
  Q4_1: [32, 20],
  Q5_0: [32, 22],
  Q5_1: [32, 24],
  Q8_0: [32, 34],
  Q8_1: [32, 36],
  Q2_K: [256, 84],
  Q3_K: [256, 110],
  Q4_K: [256, 144],
  Q5_K: [256, 176],
  Q6_K: [256, 210],
  Q8_K: [256, 292],
  IQ1_S: [256, 50],
  IQ1_M: [256, 56],
  IQ2_XXS: [256, 66],
  IQ2_XS: [256, 74],
  IQ2_S: [256, 82],
  IQ3_XXS: [256, 98],
  IQ3_S: [256, 110],
  IQ4_XS: [256, 136],
  IQ4_NL: [32, 18],
  TQ1_0: [256, 54],
  TQ2_0: [256, 66],
  MXFP4: [32, 17],
  NVFP4: [64, 36],
} as const satisfies Record<string, readonly [elements: number, bytes: number]>;

export type GgmlType = keyof typeof BLOCKS;

/** Name of a ggml type as this table has it (`q8_0`, `Q8_0`), or undefined for one that it does not know. */
export function ggmlType(name: string): GgmlType | undefined {
  const upper = name.toUpperCase();
  return upper in BLOCKS ? (upper as GgmlType) : undefined;
}

/** Bytes of a row of `elements`; a row that ends inside a block takes the whole block. */
export function rowBytes(type: GgmlType, elements: number): number {
  const [block, bytes] = BLOCKS[type];
  return Math.ceil(elements / block) * bytes;
}

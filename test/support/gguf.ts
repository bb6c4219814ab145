import { type GgmlType, rowBytes } from "../../configs/models/blocks";
import { f32, text, u32, u64 } from "../../tools/ggufBytes";

export type GgufValue = number | boolean | string | number[] | string[];

export interface GgufTensor {
  name: string;
  type: GgmlType;
  /** Columns first, as the format has it. */
  shape: number[];
}

/** The format's numbers of the types that tests use. */
const TYPE_NUMBERS: Partial<Record<GgmlType, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q8_0: 8,
  Q4_K: 12,
  Q6_K: 14,
  BF16: 30,
};

const ALIGNMENT = 32;

export function tensorBytes({ type, shape }: GgufTensor): number {
  const [row = 0, ...rest] = shape;
  return rowBytes(type, row) * rest.reduce((product, length) => product * length, 1);
}

/**
 * A GGUF of version 3 whose tensors are all zero. Whole numbers are written as uint32, lists of them as int32, other numbers
 * and lists of these as float32.
 */
export function zeroGguf(metadata: Record<string, GgufValue>, tensors: GgufTensor[]): Buffer {
  let offset = 0;
  const infos = tensors.map((tensor) => {
    const dimensions = tensor.shape.map(u64);
    const number = TYPE_NUMBERS[tensor.type];
    if (number === undefined) throw new Error(`no number for ${tensor.type}`);
    const info = Buffer.concat([
      text(tensor.name),
      u32(tensor.shape.length),
      ...dimensions,
      u32(number),
      u64(offset),
    ]);
    offset += padded(tensorBytes(tensor));
    return info;
  });
  const pairs = Object.entries(metadata).map(([key, value]) => Buffer.concat([text(key), typed(value)]));
  const head = Buffer.concat([
    Buffer.from("GGUF"),
    u32(3),
    u64(tensors.length),
    u64(pairs.length),
    ...pairs,
    ...infos,
  ]);
  return Buffer.concat([head, Buffer.alloc(padded(head.length) - head.length + offset)]);
}

function typed(value: GgufValue): Buffer {
  if (typeof value === "string") return Buffer.concat([u32(8), text(value)]);
  if (typeof value === "boolean") return Buffer.concat([u32(7), Buffer.from([value ? 1 : 0])]);
  if (typeof value === "number")
    return Number.isInteger(value)
      ? Buffer.concat([u32(4), u32(value)])
      : Buffer.concat([u32(6), f32(value)]);
  const whole = value.every((item) => Number.isInteger(item));
  const type = value.every((item) => typeof item === "string") ? 8 : whole ? 5 : 6;
  const items = value.map((item) => (typeof item === "string" ? text(item) : whole ? u32(item) : f32(item)));
  return Buffer.concat([u32(9), u32(type), u64(value.length), ...items]);
}

function padded(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

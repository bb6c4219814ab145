/** Suffixes of a quantity, as Kubernetes defines them, and what each multiplies by. */
const FACTORS: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/**
 * The number that a quantity of Kubernetes stands for: cores for CPU, bytes for memory and storage.
 *
 * @throws Error for text that is no quantity; an API server accepts none and stores none
 * @example amountOf("500m") // 0.5
 * @example amountOf("2Gi") // 2147483648
 */
export function amountOf(quantity: string | number): number {
  const [, number, suffix] = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkMGTPE]|[KMGTPE]i)?$/.exec(
    String(quantity),
  ) ?? [undefined, undefined, undefined];
  if (number === undefined) throw new Error(`no quantity: ${quantity}`);
  return Number(number) * FACTORS[suffix ?? ""]!;
}

/** A number as people write it: memory and storage in GiB, anything else as it is, with at most two digits behind the point. */
export function amountWords(resource: string, amount: number): string {
  const bytes = /(^|\.)(memory|storage|ephemeral-storage)$/.test(resource);
  const rounded = (value: number) => String(Math.round(value * 100) / 100);
  return bytes ? `${rounded(amount / 2 ** 30)} GiB` : rounded(amount);
}

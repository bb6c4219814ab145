export const MIB = 2 ** 20;
export const GIB = 2 ** 30;

/** `12.34 GiB`, or `12.3 MiB` below a tenth of a GiB. */
export function size(bytes: number): string {
  return Math.abs(bytes) < GIB / 10 ? `${(bytes / MIB).toFixed(1)} MiB` : `${(bytes / GIB).toFixed(2)} GiB`;
}

/** `12.3 GiB`. */
export function gibibytes(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}

/** `12.34`: hundredths of a GiB, rounded so that what a person writes for it holds. */
export function hundredthsOfGiB(bytes: number, round: "up" | "down"): string {
  const hundredths = (bytes / GIB) * 100;
  return ((round === "up" ? Math.ceil(hundredths) : Math.floor(hundredths)) / 100).toFixed(2);
}

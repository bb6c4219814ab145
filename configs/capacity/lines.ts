/** One line of an explained sum. */
export interface Line {
  /** What it is, with the numbers that it was made from. */
  label: string;
  bytes: number;
}

export const MIB = 2 ** 20;
export const GIB = 2 ** 30;

/** Whole bytes, rounded up: a plan is never smaller than what it stands for. */
export function line(label: string, bytes: number): Line {
  return { label, bytes: Math.ceil(bytes) };
}

export function sum(lines: readonly Line[]): number {
  return lines.reduce((total, { bytes }) => total + bytes, 0);
}

/** `12.3 GiB`, or MiB below a tenth of a GiB. */
export function size(bytes: number): string {
  return Math.abs(bytes) < GIB / 10 ? `${(bytes / MIB).toFixed(1)} MiB` : `${(bytes / GIB).toFixed(2)} GiB`;
}

/** The sum as people read it: a line each, indented, and the total. */
export function explained(lines: readonly Line[]): string {
  const rows = [...lines, { label: "together", bytes: sum(lines) }];
  return rows.map(({ label, bytes }) => `    ${size(bytes).padStart(10)}  ${label}`).join("\n");
}

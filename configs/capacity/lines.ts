import { size } from "../kit/sizes";

/** One line of an explained sum. */
export interface Line {
  /** What it is, with the numbers that it was made from. */
  label: string;
  bytes: number;
}

/** Whole bytes, rounded up: a plan is never smaller than what it stands for. */
export function line(label: string, bytes: number): Line {
  return { label, bytes: Math.ceil(bytes) };
}

export function sum(lines: readonly Line[]): number {
  return lines.reduce((total, { bytes }) => total + bytes, 0);
}

/** The sum as people read it: a line each, indented, and the total. */
export function explained(lines: readonly Line[]): string {
  const rows = [...lines, { label: "together", bytes: sum(lines) }];
  return rows.map(({ label, bytes }) => `    ${size(bytes).padStart(10)}  ${label}`).join("\n");
}

/** A table for the terminal: columns as wide as their widest cell, the first to the left, numbers to the right. */
export function table(head: string[], rows: string[][]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0)));
  const isNumber = head.map(
    (_, column) => rows.length > 0 && rows.every((cells) => /^[\d.,]*$/.test(cells[column] ?? "")),
  );
  return all.map((cells) =>
    cells
      .map((cell, column) =>
        isNumber[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

/** US dollars with as many digits as a cent of a cent has. */
export function usd(amount: number | undefined): string {
  return amount === undefined ? "" : amount.toFixed(4);
}

/**
 * A table for the terminal, a text for each line. Columns are as wide as their widest cell.
 *
 * @param right whether a column stands to the right. Default: those that hold nothing but numbers
 */
export function table(
  head: string[],
  rows: string[][],
  right = (column: number) => rows.length > 0 && rows.every((cells) => /^[\d.,]*$/.test(cells[column] ?? "")),
): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0)));
  const toTheRight = head.map((_, column) => right(column));
  return all.map((cells) =>
    cells
      .map((cell, column) =>
        toTheRight[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

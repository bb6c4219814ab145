/** A Markdown table, padded as the formatter has it. With `figures`, every column but the first stands to the right. */
export function markdownTable(head: string[], rows: string[][], { figures = false } = {}): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const right = (column: number) => figures && column > 0;
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => (right(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    right(column) ? `${"-".repeat(width - 1)}:` : "-".repeat(width),
  );
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

import { isScalar, parse, parseDocument, visit, YAMLParseError } from "yaml";

/** Levels that a file may nest: far more than a config has, far fewer than what reads it can follow. */
const DEEPEST = 64;

/** Values that a file may hold. Aliases repeat what they name, so that a short text can be a long one. */
const MOST = 100_000;

/** A text of YAML as plain data, or what is wrong with it, as the end of a sentence about it. */
export function yamlValue(text: string): { value: unknown } | { flaw: string } {
  try {
    // Without warnings: they would go to the terminal past everything that says what is wrong.
    const value: unknown = parse(text, { logLevel: "error" });
    const flaw = tooMuch(value);
    return flaw === undefined ? { value } : { flaw };
  } catch (error) {
    if (error instanceof YAMLParseError && error.code === "DUPLICATE_KEY")
      return { flaw: repeated(text, error) };
    if (error instanceof YAMLParseError)
      return { flaw: `is no valid YAML at line ${error.linePos?.[0].line ?? 1}: ${error.code}` };
    // Whatever else the parser throws is about this text too: aliases that name each other, levels that its stack cannot hold.
    return { flaw: "is YAML that cannot be read: its aliases or its levels are too many" };
  }
}

/** Which key a map has twice, by its path: one of the two would be lost without a word. */
function repeated(text: string, { pos: [at], linePos }: YAMLParseError): string {
  let path: string | undefined;
  visit(parseDocument(text, { uniqueKeys: false, logLevel: "silent" }), {
    Pair(_, { key }, above) {
      if (!isScalar(key) || key.range?.[0] !== at) return undefined;
      const keys = above.flatMap((node) => ("key" in node && isScalar(node.key) ? [node.key] : []));
      path = [...keys, key].map(({ value }) => String(value)).join(".");
      return visit.BREAK;
    },
  });
  return `has ${path ?? "a key"} twice, the second time at line ${linePos?.[0].line ?? 1}`;
}

/** Why data is too deep or too large to walk through; an alias may even contain itself. */
function tooMuch(root: unknown): string | undefined {
  let values = 0;
  const open: { value: unknown; depth: number }[] = [{ value: root, depth: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, depth } = next;
    values += 1;
    if (depth > DEEPEST) return `is nested deeper than ${DEEPEST} levels`;
    if (values > MOST) return `holds more than ${MOST} values`;
    if (typeof value === "object" && value !== null)
      for (const inner of Object.values(value)) open.push({ value: inner, depth: depth + 1 });
  }
  return undefined;
}

import { isPair, LineCounter, parseDocument, type ScalarTag, visit, type YAMLError, YAMLMap } from "yaml";
import { UserError } from "../../platform/process";
import type { Path } from "./ledger";

/** A file that somebody else's program reads, as plain data with the places of its values. */
export interface YamlSource {
  value: unknown;
  /** `config.yaml:12:5` for a value, or for the nearest place above it that the file has. */
  place(path: Path): string;
}

/** Words that PyYAML takes for true and false, and YAML 1.2 does not. */
const PYTHON_WORDS: ScalarTag = {
  default: true,
  tag: "tag:yaml.org,2002:bool",
  test: /^(?:yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF)$/,
  resolve: (text) => /^(yes|on)$/i.test(text),
};

/** Most values that aliases may unfold to. */
const MOST_ALIASES = 10_000;

/**
 * Reads YAML or JSON: anchors and merge keys are resolved, every mistake is told with its line and column.
 *
 * @param file as messages name it
 * @param python true for what PyYAML reads, where `yes` and `on` are true
 * @throws UserError
 */
export function yamlSource(file: string, text: string, python = false): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    merge: true,
    customTags: python ? [PYTHON_WORDS] : [],
    // "silent" would hide that a second document follows.
    logLevel: "error",
  });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line || 1}:${col || 1}`;
  };
  const [error] = document.errors;
  if (error) throw refusal(at(error.pos[0]), error, text);
  const [warning] = document.warnings;
  if (warning)
    throw new UserError(
      `${at(warning.pos[0])}: a tag that no plain YAML has.`,
      "Write the value without it, or import what `docker compose config` prints.",
    );
  visit(document, {
    Alias(_, alias, above) {
      const meant = alias.resolve(document);
      const place = at(alias.range?.[0] ?? 0);
      if (!meant)
        throw new UserError(
          `${place}: nothing above has the anchor &${alias.source}.`,
          "Write the anchor before its first use.",
        );
      if (above.some((node) => node === meant))
        throw new UserError(
          `${place}: the value with the anchor &${alias.source} holds itself.`,
          "Write out what is meant here.",
        );
    },
  });
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch {
    throw new UserError(`${file}: its aliases unfold to too many values.`, "Write them out.");
  }
  return {
    value,
    place(path) {
      let offset = 0;
      let node: unknown = document.contents;
      for (const step of path) {
        if (node instanceof YAMLMap) {
          const pair = node.items.find((one) => isPair(one) && String(one.key) === String(step));
          const key = pair?.key as { range?: [number, number, number] } | undefined;
          if (!pair || !key?.range) break;
          offset = key.range[0];
          node = resolved(pair.value, document);
        } else {
          const next = (node as { items?: unknown[] } | null)?.items?.[Number(step)];
          const range = (next as { range?: [number, number, number] } | undefined)?.range;
          if (!range) break;
          offset = range[0];
          node = resolved(next, document);
        }
      }
      return at(offset);
    },
  };
}

function resolved(node: unknown, document: ReturnType<typeof parseDocument>): unknown {
  const alias = node as { resolve?: (of: typeof document) => unknown } | null;
  return typeof alias?.resolve === "function" ? alias.resolve(document) : node;
}

function refusal(place: string, { code, message }: YAMLError, text: string): UserError {
  if (code === "TAB_AS_INDENT" || /^ *\t/m.test(lineAt(text, place)))
    return new UserError(
      `${place}: a tab indents this line, and YAML takes spaces only.`,
      "Replace the tab.",
    );
  if (code === "DUPLICATE_KEY")
    return new UserError(
      `${place}: this key stands twice in one map.`,
      "Remove one of the two: other programs silently take the last.",
    );
  if (code === "MULTIPLE_DOCS")
    return new UserError(
      `${place}: a second document begins here, and one file is read as one.`,
      "Keep the document that counts, or import each from a file of its own.",
    );
  // The parser's first sentence quotes nothing of the text, which may hold a key.
  const what = message.split(/ at line |:\n/)[0]!;
  return new UserError(`${place}: this is no valid YAML (${code}: ${what}).`, "Correct it there.");
}

function lineAt(text: string, place: string): string {
  return text.split("\n")[Number(place.split(":").at(-2)) - 1] ?? "";
}

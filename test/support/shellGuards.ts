import ts from "typescript";

/** POSIX's special builtins: where a redirection of one fails, a POSIX shell ends, whatever comes behind. */
const SPECIAL = new Set(
  ": . break continue eval exec exit export readonly return set shift times trap unset".split(" "),
);

/** Words after which a command begins, and whose own result is looked at: the condition of `if`, or `!`. */
const CONDITION = new Set(["if", "elif", "while", "until", "!"]);
const BEGINS = new Set([...CONDITION, "then", "else", "do", "{", "(", "RUN"]);

/** A word or an operator of a shell text, quotes and all. */
const TOKEN =
  /\\[\s\S]|'[^']*'|"(?:\\[\s\S]|\$\([^()]*\)|[^"\\])*"|\$\{[^}]*\}|\$\(\(|\|\||&&|;;|\n|\d*[<>]&[\w-]+|\d*(?:<>|>>|<<-?|[<>]\|?)|[;&|(){}]|#[^\n]*|[^\s;&|(){}<>'"\\]+|[ \t\r]+|[\s\S]/g;

/** Redirections that open something, which may fail; `2>&1` copies what is open. */
const OPENS = /^\d*(?:<>|>>|[<>]\|?)$/;

interface Frame {
  /** A special builtin in it that opens something. */
  fault?: string;
  /** Opened by a condition. */
  asked: boolean;
}

/**
 * The special builtins of a text for a POSIX shell whose failing redirection, or missing file, the text believes to handle: they
 * stand before `||` or `&&`, alone or as the end of a group, or in a condition.
 */
export function guardedBuiltins(text: string): string[] {
  const found: string[] = [];
  const frames: Frame[] = [{ asked: false }];
  let command: string[] = [];
  let opens = false;
  let asked = false;
  /** What the command or group that has just ended may fail by. */
  let last: string | undefined;
  const end = () => {
    const [first = ""] = command.filter((word) => !/^\w+=/.test(word));
    if (command.length > 0) {
      const risky = SPECIAL.has(first) && (opens || first === ".");
      last = risky ? command.join(" ") : undefined;
      const frame = frames.at(-1)!;
      if (last) frame.fault ??= last;
      if (last && (asked || frames.some((one) => one.asked))) found.push(last);
    }
    command = [];
    opens = false;
  };
  /** The next word is where a group's redirection leads. */
  let target = false;
  for (const [token] of text.matchAll(TOKEN)) {
    if (/^[ \t\r]+$/.test(token) || token.startsWith("#")) continue;
    if (target) {
      target = false;
      continue;
    }
    if (token === "||" || token === "&&") {
      end();
      if (last) found.push(last);
      last = undefined;
      continue;
    }
    if ([";", "\n", "&", "|", ";;"].includes(token)) {
      end();
      if (token !== "\n") last = undefined;
      asked = false;
      continue;
    }
    if (token === "}" || token === ")") {
      end();
      const closed = frames.length > 1 ? frames.pop()! : undefined;
      // A subshell is a shell of its own: only it ends.
      last = token === "}" ? closed?.fault : undefined;
      if (last) frames.at(-1)!.fault ??= last;
      continue;
    }
    if (command.length === 0 && BEGINS.has(token)) {
      asked ||= CONDITION.has(token);
      if (token === "{" || token === "(") {
        frames.push({ asked });
        asked = false;
      }
      continue;
    }
    if (token === "(" || token === "{") {
      // A function's body, or an expansion.
      end();
      frames.push({ asked: false });
      continue;
    }
    // A redirection of a group that has ended.
    if (last !== undefined && command.length === 0) {
      target = OPENS.test(token);
      if (target || /[<>]&/.test(token)) continue;
    }
    if (OPENS.test(token)) opens = true;
    command.push(token);
  }
  end();
  return [...new Set(found)];
}

/** Every text in a TypeScript source, with a word in place of what it computes. */
export function textsOf(source: string): string[] {
  const texts: string[] = [];
  const walk = (node: ts.Node): void => {
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) texts.push(node.text);
    if (ts.isTemplateExpression(node))
      texts.push([node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join("X"));
    ts.forEachChild(node, walk);
  };
  walk(ts.createSourceFile("x.ts", source, ts.ScriptTarget.ES2022));
  return texts;
}

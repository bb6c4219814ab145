/** A text as a shell takes it apart. Quotes and backslashes only: nothing is run, and variables stay as they are. */
export function shellWords(text: string): string[] {
  const words: string[] = [];
  // A line may be a comment, and a backslash at the end of one continues it.
  const script = text.replace(/^\s*#.*$/gm, "").replace(/\\\r?\n/g, " ");
  for (const match of script.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gs))
    words.push(unquoted(match[0]));
  return words;
}

function unquoted(word: string): string {
  return word.replace(
    /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs,
    (_, double?: string, single?: string, escaped?: string) =>
      double !== undefined ? double.replace(/\\(["\\$`])/g, "$1") : (single ?? escaped ?? ""),
  );
}

/** Programs that start a server, as the last word of a path. */
const SERVER =
  /(^|\/)(vllm|llama-server|server|python3?|ollama|trtllm-serve|text-embeddings-router|sglang|litellm)$/;

/** The words that start the server: of `sh -c "…"` its last command that does, of `python3 -m module` those from the module on. */
export function serverWords(words: string[]): string[] {
  const shell = words.findIndex((word) => /(^|\/)(ba|da|z)?sh$/.test(word));
  const flag = words.findIndex((word, index) => index > shell && /^-[a-z]*c$/.test(word));
  if (shell < 0 || flag < 0) return withoutPython(words);
  const script = words.slice(flag + 1).join(" ");
  const commands = script
    .split(/\s*(?:&&|\|\||;|\n(?!\s*-))\s*/)
    .map((one) => shellWords(one.replace(/^\s*exec\s+/, "")));
  return withoutPython(
    commands.filter(([program]) => SERVER.test(program ?? "")).at(-1) ?? shellWords(script),
  );
}

function withoutPython(words: string[]): string[] {
  const module = /(^|\/)python3?$/.test(words[0] ?? "") && words.indexOf("-m");
  return module ? words.slice(module + 1) : words;
}

import { Document, isMap, isScalar, isSeq, type Node, type Pair } from "yaml";
import { textWithoutSecrets } from "../../configs/policy/plaintext";
import type { Draft, DraftSecret } from "./draft";
import { isBelow } from "./ledger";

/** Something of a source that the stack file does not hold. */
export interface Untold {
  /** `config.yaml:12:5 model_list[0].litellm_params.foo`. */
  what: string;
  why: string;
  /** Key of the stack config beside which it is told. */
  home?: string;
}

const ORDER = ["host", "gateway", "cache", "database", "access"];

/** Letters of a line of comment. */
const WIDTH = 118;

/** What a stack file is made of beside its draft. */
interface About {
  /** Names of what was read. */
  sources: string[];
  /** Secrets that the file names, with where the sources have them. */
  secrets: [name: string, found: DraftSecret][];
  /** Keys of an older file that have to stay: what encrypts its secrets, and the secrets. */
  kept?: Kept;
}

/** The text of the stack file, with a comment on each thing that could not be carried over. */
export function stackFile(
  draft: Draft,
  untold: Untold[],
  { sources, secrets, kept = { top: {}, config: {} } }: About,
): string {
  const names = [...ORDER, ...Object.keys(draft.sections).filter((name) => !ORDER.includes(name))];
  const sections = names.filter((name) => Object.keys(draft.sections[name] ?? {}).length > 0);
  const config = {
    ...Object.fromEntries(sections.map((name) => [`gpubox:${name}`, draft.sections[name]])),
    ...(Object.keys(draft.models).length > 0 ? { "gpubox:models": draft.models } : {}),
    ...kept.config,
  };
  const document = new Document(
    { ...kept.top, config },
    { aliasDuplicateObjects: false, compat: "yaml-1.1" },
  );
  const head = [`Made by \`gpubox import\` from ${sources.join(", ")}.`];
  if (untold.length > 0) head.push("What did not come over is told where it would stand, or here:");
  for (const [to, remarks] of draft.remarks)
    for (const remark of remarks) if (!comment(document, to, remark)) head.push(`${to}: ${remark}`);
  for (const { what, why, home } of together(untold)) {
    const line = draft.masked(textWithoutSecrets(sentence(`${what}: ${why}`)));
    if (home === undefined || !comment(document, home, `Not carried over: ${line}`)) head.push(`- ${line}`);
  }
  if (secrets.length > 0) head.push("Secrets that it names:");
  for (const [name, { from }] of secrets) head.push(`- ${name}, from ${from}`);
  document.commentBefore = wrapped(head);
  return document.toString({ lineWidth: 0 });
}

/** What has one reason and one place is one comment. */
function together(untold: Untold[]): Untold[] {
  const found: Untold[] = [];
  for (const { what, why, home } of untold) {
    const same = found.find((one) => one.why === why && one.home === home);
    if (same) same.what += `, ${what}`;
    else found.push({ what, why, home });
  }
  return found;
}

/** Keys of an older stack file that a new one keeps. */
export interface Kept {
  /** `encryptionsalt` and its like. */
  top: Record<string, unknown>;
  /** Encrypted secrets, and what `up` wrote. */
  config: Record<string, unknown>;
}

/** Puts a comment above a key. @returns false where the document has no such key */
function comment(document: Document, to: string, text: string): boolean {
  const key = keyAt(document.get("config", true), to);
  if (key === undefined) return false;
  key.commentBefore = [key.commentBefore, wrapped([text])].filter(Boolean).join("\n");
  return true;
}

/** The node of a key like `gpubox:models.a.b.baseUrl`: names of models may have dots too. */
function keyAt(node: unknown, path: string): Node | undefined {
  if (isMap(node)) {
    const found = (node.items as Pair<unknown, unknown>[])
      .filter(({ key }) => isScalar(key) && isBelow(path, String(key.value)))
      .sort((a, b) => String(b.key).length - String(a.key).length)[0];
    if (!found) return undefined;
    const key = found.key as Node & { value: unknown };
    const rest = path.slice(String(key.value).length).replace(/^\./, "");
    return rest === "" ? key : keyAt(found.value, rest);
  }
  const [, place, rest = ""] = /^\[(\d+)\]\.?(.*)$/.exec(path) ?? [];
  if (!isSeq(node) || place === undefined) return undefined;
  const item = node.items[Number(place)] as Node | undefined;
  return rest === "" ? item : keyAt(item, rest);
}

function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

/** Lines of a comment, none of them much longer than the page. */
function wrapped(texts: string[]): string {
  return texts.flatMap(lines).join("\n");
}

function lines(text: string): string[] {
  const found: string[] = [];
  for (const word of text.replace(/[\p{Cc}\s]+/gu, " ").split(" ")) {
    const last = found.at(-1);
    if (last !== undefined && last.length + word.length < WIDTH) found[found.length - 1] = `${last} ${word}`;
    else found.push(found.length === 0 ? ` ${word}` : `   ${word}`);
  }
  return found;
}

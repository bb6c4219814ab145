import { Document, isScalar, type Tags, visit } from "yaml";

/** A key that is nothing but a word. What else a YAML 1.1 would read in such a word, `on` or `null`, is quoted all the same. */
const WORD = /^[A-Za-z_][\w.-]*$/;

/** Characters at which parsers of YAML 1.1 break a line, or give up. Quoted text may hold their escapes. */
const UNSAFE = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g;

/** `<<` is a text like any other. */
const withoutMerge = (tags: Tags): Tags =>
  tags.filter((tag) => typeof tag === "string" || !tag.tag.endsWith(":merge"));

/**
 * Writes a document that means the same to YAML 1.1, which docker-compose 1.29 reads, and to YAML 1.2: every text is quoted,
 * because `off`, `1:30`, `0o17` and `=` are each something else to one of them.
 */
export function yamlForAll(content: unknown): string {
  const document = new Document(content, { version: "1.1", customTags: withoutMerge });
  visit(document, {
    Pair: (_, { key }) => {
      if (isScalar<string>(key) && !WORD.test(key.value)) key.type = "QUOTE_DOUBLE";
    },
  });
  const text = document.toString({
    defaultStringType: "QUOTE_DOUBLE",
    defaultKeyType: "PLAIN",
    // A word that is folded is a word that a person cannot find.
    lineWidth: 0,
  });
  return text.replace(UNSAFE, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

import { Document, isScalar, type Tags, visit } from "yaml";

/** Words that every YAML reads as a text. */
const WORD = /^[A-Za-z/][\w./-]*$/;

/** Words that one YAML or another takes for something else. */
const TAKEN = /^(y|n|yes|no|on|off|true|false|null|nan|inf)$/i;

/** Characters that a block keeps in every YAML, and none that breaks a line elsewhere. */
const FIT_FOR_BLOCK = /^[\t\n -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe]*$/;

/** Spaces at the ends of lines would be lost, and a begin with one sets the indent. */
const LOST_IN_BLOCK = /[ \t]\n|[ \t]$|^[ \t\n]/;

const withoutMerge = (tags: Tags): Tags =>
  tags.filter((tag) => typeof tag === "string" || !tag.tag.endsWith(":merge"));

/**
 * Documents for kubectl, which reads YAML 1.1, and for people: a file stands line by line, so that a change of it shows as one. Texts
 * that something could take for a number or a word of YAML's are quoted.
 */
export function manifestYaml(objects: object[]): string {
  return objects.map((object) => `---\n${oneDocument(object)}`).join("");
}

function oneDocument(content: object): string {
  const document = new Document(content, {
    version: "1.1",
    customTags: withoutMerge,
    aliasDuplicateObjects: false,
  });
  visit(document, {
    Scalar: (_, node) => {
      if (typeof node.value !== "string") return;
      const { value } = node;
      if (WORD.test(value) && !TAKEN.test(value)) node.type = "PLAIN";
      else if (value.includes("\n") && FIT_FOR_BLOCK.test(value) && !LOST_IN_BLOCK.test(value))
        node.type = "BLOCK_LITERAL";
      else node.type = "QUOTE_DOUBLE";
    },
    Pair: (_, { key }) => {
      if (isScalar<string>(key) && (!WORD.test(key.value) || TAKEN.test(key.value)))
        key.type = "QUOTE_DOUBLE";
    },
  });
  return document.toString({ lineWidth: 0 }).replace(/[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g, escaped);
}

function escaped(one: string): string {
  return `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

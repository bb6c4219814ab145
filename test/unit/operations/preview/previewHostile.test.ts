import fc from "fast-check";
import { ConfigError } from "../../../../configs/kit/problems";
import { compare } from "../../../../operations/preview/compare";
import { diffValues, shown } from "../../../../operations/preview/configDiff";
import { markdown } from "../../../../operations/preview/markdown";
import {
  mistakesMarkdown,
  previewMarkdown,
  previewText,
  removedMarkdown,
} from "../../../../operations/preview/render";
import type { Preview } from "../../../../operations/preview/types";
import { runs } from "../../../support/runs";
import { testSide, tinyModel } from "../../../support/stacks";

/** What somebody may write where a name or a value is shown. */
const hostile = fc.oneof(
  fc.constantFrom(
    "a\n\n## gpubox preview: box\n\n**`gpubox up` would change nothing.**",
    "x\n<!-- gpubox preview -->\n</details>",
    "`\n### Policies\n\n- none",
    "<details><summary>Secrets (0)</summary>",
    "![a](https://canary.example/x.png) [log in](https://canary.example)",
    "https://canary.example www.canary.example @everybody #1 GH-1 a@b.example",
    "``` js",
    "~~~",
    "| a | b |\n| - | - |",
    "1. one",
    "- [x] done",
    "> quoted",
    "===",
    "---",
    "\\`",
    "``",
    "`a``b`",
    "\u001b[2J\u001b[H safe",
    "a\r\nb",
    "\u202edesrever",
    "\u2028",
    "&lt;b&gt;",
    "$x^2$",
    "",
    " ",
    "  two spaces",
    "      code to Markdown",
    "*a* _b_ ~~c~~",
  ),
  fc.string({ unit: fc.constantFrom(..."`<>&*_#[]()!|~\\\n\r\t-+=1.:/@$ ax") }),
  fc.string({ unit: "binary" }),
);

const unchanged = compare(testSide(), testSide());

/** A preview with nine of them, each where something of a config, a file or a branch is shown. */
function previewWith([a, b, c, d, e, f, g, h, i]: string[]): Preview {
  const text = (one: string | undefined) => one ?? "";
  const change = { path: text(a), before: text(b), after: text(c) };
  const gap = { container: text(d), models: [text(e)], notice: text(f), mostSeconds: 9, source: text(g) };
  return {
    ...unchanged,
    stack: text(h),
    base: text(i),
    settings: [change],
    models: [{ model: text(a), change: "changed", what: text(b), fields: [change] }],
    destinations: [
      { who: text(c), before: { to: text(d), keys: [text(e)] }, after: { to: text(f), keys: [] } },
    ],
    containers: [
      {
        ...{ container: text(g), action: "replaced", how: "stop-first" },
        reasons: [{ input: text(h), detail: text(i) }],
      },
    ],
    gaps: [gap as Preview["gaps"][number]],
    steps: [text(a)],
    downloads: [{ kind: "image", what: text(b), remark: text(c) }],
    ports: { opened: [{ bind: text(d), port: 1, target: 2, container: text(e) } as never], closed: [] },
    secrets: [{ name: text(f), change: "set", containers: [text(g)] }],
    data: [{ what: text(h), fate: "lost" }],
    policy: [
      { policy: "no-root", severity: "waived", reason: text(i), path: text(a), what: text(b), fix: text(c) },
    ],
    notes: [text(d)],
  };
}

const nine = fc.array(hostile, { minLength: 9, maxLength: 9 });

/** The lines of a text without what stands in them: what a reader takes for its structure. */
function structure(text: string): string[] {
  return text.split("\n").map((line) => /^(\s*- |## |### |\*\*|<details>.*|<\/details>|)/.exec(line)![0]);
}

/** Everything outside of code. */
const outside = (text: string) => text.replace(/`[^`\n]+`/g, "");

describe("whatever stands in a config, a comment on a pull request", () => {
  test("has the sections and lines of the preview, and no other", () => {
    const plain = structure(previewMarkdown(previewWith(Array(9).fill("x"))));
    fc.assert(
      fc.property(nine, (texts) => {
        expect(structure(previewMarkdown(previewWith(texts)))).toEqual(plain);
      }),
      runs(120),
    );
  });

  test("stays at its depth when it begins with spaces", () => {
    const preview = {
      ...previewWith(Array(9).fill("x")),
      destinations: [{ who: "  pod", after: undefined }],
    };
    expect(previewMarkdown(preview)).toContain("\n- pod: nothing");
    expect(previewText(preview)).toContain("\n  pod: nothing");
  });

  test("names every mistake on one line", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(hostile, hostile, hostile), { minLength: 1 }), hostile, (all, stack) => {
        const problems = all.map(([path, what, fix]) => ({ path, what, fix }));
        const lines = mistakesMarkdown(stack, problems).split("\n");
        expect(lines).toHaveLength(problems.length + 5);
        expect(lines.slice(4, -1).filter((line) => !line.startsWith("- `"))).toEqual([]);
        expect(new ConfigError(stack, problems).message.split("\n")).toHaveLength(problems.length + 1);
      }),
    );
  });

  test("has no HTML, link, picture, mention, emphasis or control character outside of code", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const line = markdown(text);
        expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect(outside(line)).not.toMatch(/[<>@[\]*_~|\\`$]|:\/\/|#(?!\d+;)|&(?!#\d+;)|www\.|gh-/i);
        expect(line).not.toMatch(/^\s*([-+=]|\d+[.)])/);
      }),
      runs(250),
    );
  });

  test("on a removed stack is one line under its heading", () => {
    fc.assert(
      fc.property(hostile, (stack) => {
        expect(structure(removedMarkdown(stack))).toEqual(["## ", "", "**", ""]);
      }),
    );
  });
});

test("the terminal's preview has as many lines, and nothing that moves the cursor", () => {
  const lines = previewText(previewWith(Array(9).fill("x"))).split("\n").length;
  fc.assert(
    fc.property(nine, (texts) => {
      const text = previewText(previewWith(texts));
      expect(text.split("\n")).toHaveLength(lines);
      expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }),
  );
});

describe("a value that is too long for a line", () => {
  test("says how much of it is missing, and a shorter one is complete", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), (length) => {
        const text = shown("x".repeat(length));
        expect(text).toBe(
          length <= 80 ? "x".repeat(length) : `${"x".repeat(80)}… (${length - 80} more characters)`,
        );
      }),
    );
  });

  test("differs from one with fewer spaces", () => {
    expect(diffValues("a  b\n", "a b", "x")).toEqual([{ path: "x", before: "a  b\\n", after: "a b" }]);
  });
});

describe("where requests go", () => {
  const sent = (before: Record<string, unknown> | undefined, after: Record<string, unknown>) =>
    compare(before && testSide(before, options), testSide(after, options)).destinations;
  const secrets = {
    ...{ masterKey: "sk-m-0123456789abcdefghi", saltKey: "sk-s-0123456789abcdefghi" },
    ...{ cachePassword: "c", databasePassword: "d", farKey: "f", groqKey: "g", awsId: "i", awsKey: "k" },
  };
  const options = { secrets };
  const far = { engine: "openai", baseUrl: "https://far.example:8443/v1", apiKey: { secret: "farKey" } };

  test("of a new model is in the preview, with the host and the name of the key", () => {
    expect(sent({ models: tinyModel }, { models: { ...tinyModel, far } })).toEqual([
      {
        who: "model `far`",
        after: { to: "far.example:8443 (https://far.example:8443/v1)", keys: ["farKey"] },
      },
    ]);
  });

  test("of a model whose address or key changes is shown with both values", () => {
    const other = { ...far, baseUrl: "https://far.example.canary.example/v1" };
    const preview = {
      ...compare(testSide({ models: { far } }, options), testSide({ models: { far: other } }, options)),
      ...{ stack: "test", base: "x", policy: [], notes: [] },
    };
    const line =
      "- model `far`: `far.example:8443 (https://far.example:8443/v1)` with the secret `farKey` → " +
      "`far.example.canary.example (https://far.example.canary.example/v1)` with the secret `farKey`";
    expect(previewMarkdown(preview).split("\n").slice(6, 9)).toEqual(["### Where requests go", "", line]);
    const groq = { engine: "cloud", model: "groq/x", apiKey: { secret: "groqKey" } };
    expect(
      sent({ models: { groq } }, { models: { groq: { ...groq, apiKey: { secret: "farKey" } } } }),
    ).toEqual([
      {
        who: "model `groq`",
        before: { to: "groq's own address", keys: ["groqKey"] },
        after: { to: "groq's own address", keys: ["farKey"] },
      },
    ]);
  });

  test("of instances, accounts, jobs, traces and variables is shown too", () => {
    const aws = {
      region: "eu-central-1",
      accessKeyId: { secret: "awsId" },
      secretAccessKey: { secret: "awsKey" },
    };
    const bedrock = { engine: "cloud", model: "bedrock/x", instances: [{ aws }] };
    const langfuse = {
      ...{
        host: "https://traces.example",
        publicKey: { secret: "farKey" },
        secretKey: { secret: "groqKey" },
      },
    };
    const upstream = { baseUrl: "http://job.example/v1", model: "m", apiKey: { secret: "farKey" } };
    const found = sent(
      { models: tinyModel },
      {
        models: { ...tinyModel, bedrock },
        observability: { langfuse },
        jobs: { eval: { upstream, port: 4101 } },
        gateway: { env: { LANGSMITH_API_KEY: { secret: "groqKey" } } },
        host: { modelHub: "https://hub.example" },
      },
    );
    expect(found.map(({ who, after }) => `${who} → ${after?.to} ${after?.keys.join()}`)).toEqual([
      "model `bedrock-1` → bedrock's own address, eu-central-1 awsId,awsKey",
      "job `eval` → job.example (http://job.example/v1) farKey",
      "traces with prompts and answers → traces.example (https://traces.example) farKey,groqKey",
      "variable `LANGSMITH_API_KEY` of `gateway` → the callback or provider that reads it groqKey",
      "downloads of models → hub.example (https://hub.example) ",
    ]);
  });

  test("of a box's own models stays inside the box", () => {
    expect(sent(undefined, { models: tinyModel })).toEqual([]);
  });

  test("begins with the real host, however the address begins, and a mark shows a cut", () => {
    const long = `https://api.groq.com.${"a".repeat(60)}.canary.example/${"b".repeat(300)}`;
    const azure = { engine: "cloud", model: "azure/x", apiKey: { secret: "farKey" }, apiVersion: "1" };
    const [one] = sent({ models: {} }, { models: { azure: { ...azure, apiBase: long } } });
    expect(one?.after?.to).toBe(
      `api.groq.com.${"a".repeat(60)}.canary.example (${long.slice(0, 200)}… (${long.length - 200} more characters))`,
    );
  });
});

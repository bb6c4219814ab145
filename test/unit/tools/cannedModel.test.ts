import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { UserError } from "../../../platform/process";
import { packageDir } from "../../../platform/project";
import { type CannedModelOptions, cannedModel, DEFAULT_ANSWER } from "../../../tools/cannedModel";

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

// Each hash is that of the file which the reference script canned_gguf.py (Python, gguf 0.19.0, numpy 2.4.6) wrote for
// the same arguments: `canned_gguf.py out.gguf ANSWER [--tool … --arguments … --context …] && sha256sum out.gguf`.
const REFERENCE: [string, CannedModelOptions, string][] = [
  ["the default answer", {}, "e59041cdbcc61c6157b5e45458b91c8a8cd87f0db44498d75fd303ebefaccd16"],
  [
    "a tool call with nested arguments and characters beyond ASCII",
    {
      answer: "It is sunny — ja, 天気.",
      tool: "get_weather",
      arguments: {
        city: "Zürich",
        days: 3,
        f: 1.5,
        n: null,
        l: ["a", { b: true }],
        e: {},
        x: [],
        q: 'a"b\\\n\u0001\u007f😀',
      },
      context: 4096,
    },
    "97198360152114ca642ec89464634ba2131db87ae28067fcc436022d7ab1c761",
  ],
  [
    "an answer of repeated words",
    { answer: "a a a a b b the the the the end end" },
    "dc10bf0247b350bcc565a43a63049e01de4a624a905c1ee94ecd120abd8b50eb",
  ],
  [
    "whitespace that Python and JavaScript see differently",
    { answer: "x\u001cy\u001fz\u0085 q\ufeffr \u00a0\u2003\u3000 \n\n tail  " },
    "20e0361a0e7a76d68b1abcfedcfb91589a2535cd258efd0fbd72fe6446563b9e",
  ],
];

test.each(REFERENCE)("%s gives the reference script's bytes", (_, options, hash) => {
  expect(sha256(cannedModel(options))).toBe(hash);
});

test("the file is GGUF version 3, aligned to 32 bytes", () => {
  const file = cannedModel();
  expect(file.subarray(0, 4).toString()).toBe("GGUF");
  expect(file.readUInt32LE(4)).toBe(3);
  expect(file.length % 32).toBe(0);
});

test("the default answer says that no real model spoke", () => {
  expect(DEFAULT_ANSWER).toBe("pong from the gpubox test model");
});

test("the same options give the same bytes, another answer gives others", () => {
  expect(cannedModel({ answer: "one two" }).equals(cannedModel({ answer: "one two" }))).toBe(true);
  expect(cannedModel({ answer: "one two" }).equals(cannedModel({ answer: "one three" }))).toBe(false);
});

test.each(["", "x", "\n", "<|im_end|>"])("the answer %j is refused", (answer) => {
  expect(() => cannedModel({ answer })).toThrow(
    new UserError(
      `The canned model cannot answer ${JSON.stringify(answer)}.`,
      "Give it at least two bytes that are not just one of <|endoftext|> <|im_start|> <|im_end|> <|tool|>.",
    ),
  );
});

test("a single character of two bytes is an answer", () => {
  expect(sha256(cannedModel({ answer: "é" }))).toBe(
    "3f21a347363cbf6e8178d436bfb9da712dee4831958816bcb44f22c4a70c4504",
  );
});

test("arguments without a tool are refused", () => {
  expect(() => cannedModel({ arguments: { city: "Oslo" } })).toThrow(
    new UserError("The canned model got arguments without a tool.", "Name the tool, or leave them out."),
  );
});

test("the generator makes exactly the committed file", () => {
  const packed = readFileSync(join(packageDir, "assets/llamacpp/canned.gguf.gz.b64"), "utf8");
  expect(gunzipSync(Buffer.from(packed, "base64")).equals(cannedModel())).toBe(true);
});

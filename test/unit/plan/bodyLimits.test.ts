import fc from "fast-check";
import { parseStack } from "../../../configs/parse";
import { bodyLimits, modelBodyBytes } from "../../../configs/plan/bodyLimits";
import { planContext } from "../../../configs/plan/box";
import { packageDir } from "../../../platform/project";
import { loadAssets } from "../../../platform/stack/assets";
import { everyImage } from "../../support/engines";
import { runs } from "../../support/runs";
import { rawStack, testPlan, testSecrets } from "../../support/stacks";

const MIB = 1024 ** 2;
const tiny = { engine: "llamacpp", model: "file:///srv/models/tiny.gguf", memoryMiB: 2048 };

function contextWith(models: Record<string, unknown>, gateway: Record<string, unknown> = {}) {
  const raw = rawStack({ models, gateway });
  const config = parseStack(raw);
  return planContext({
    ...{ config, secrets: raw.secrets, saltFingerprint: "", resolved: everyImage },
    assets: loadAssets(packageDir),
  });
}
const limits = (...args: Parameters<typeof contextWith>) => bodyLimits(contextWith(...args));

test("a chat may be as long as the longest context, whatever it is written in", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 256, max: 1_000_000 }), { minLength: 1, maxLength: 4 }),
      (sizes) => {
        const models = Object.fromEntries(
          sizes.map((ctxSize, index) => [`m${index}`, { ...tiny, ctxSize, parallel: 1 }]),
        );
        const { chat } = limits(models);
        const longest = Math.max(...sizes);
        // Six bytes for an escaped character, and never more than what makes a prompt of four contexts.
        expect(chat).toBeGreaterThanOrEqual(MIB + 12 * longest);
        expect(chat).toBeLessThanOrEqual(2 * (MIB + 16 * longest));
      },
    ),
    runs(20),
  );
});

test("there is room for images when a model sees, or when nobody knows whether it does", () => {
  expect(limits({ tiny }).chat).toBe(2 * MIB);
  expect(limits({ tiny: { ...tiny, mmproj: "file:///srv/models/p.gguf" } }).chat).toBe(34 * MIB);
  expect(limits({ far: { engine: "openai", baseUrl: "http://far:1/v1", contextLength: 4096 } }).chat).toBe(
    34 * MIB,
  );
});

test("without a known context it is a million tokens", () => {
  expect(limits({ far: { engine: "openai", baseUrl: "http://far:1/v1" } }).chat).toBe(64 * MIB);
});

test("embeddings may be many texts", () => {
  expect(limits({ tiny })).toEqual({ chat: 2 * MIB, embeddings: 4 * MIB });
  expect(limits({ e: { ...tiny, mode: "embedding", ctxSize: 32_768, parallel: 1 } }).embeddings).toBe(
    16 * MIB,
  );
});

test("a model that draws or hears has room for its files, and one that judges texts does not widen chats", () => {
  const far = (mode: string) => limits({ tiny, far: { engine: "openai", baseUrl: "http://far:1/v1", mode } });
  expect(far("image_generation")).toEqual({ chat: 2 * MIB, embeddings: 4 * MIB, images: 64 * MIB });
  expect(far("audio_transcription")).toEqual({ chat: 2 * MIB, embeddings: 4 * MIB, audio: 32 * MIB });
  expect(far("moderation")).toEqual({ chat: 2 * MIB, embeddings: 32 * MIB });
});

test("a declared limit counts, at the edge and for each model", () => {
  const context = contextWith({ tiny }, { limits: { maxBodyMiB: { chat: 7, embeddings: 9 } } });
  expect(bodyLimits(context)).toEqual({ chat: 7 * MIB, embeddings: 9 * MIB });
  expect(modelBodyBytes(context, "tiny", context.config.models.tiny!)).toBe(7 * MIB);
});

test("a valve accepts three times its own model's limit, not another one's", () => {
  const models = { tiny, far: { engine: "openai", baseUrl: "http://far:1/v1" } };
  const { backends, edge } = testPlan({ models }, testSecrets, everyImage);
  const text = (files: Record<string, { text: unknown[] }>) => files["haproxy.cfg"]!.text.join("");
  expect(text(backends[0]!.valve.directory.files)).toContain(`set-var(txn.body_limit) int(${6 * MIB})`);
  expect(text(edge.directory.files)).toContain(`set-var(txn.body_limit) int(${64 * MIB})`);
});

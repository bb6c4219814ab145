import { changeNotices, deployedBox } from "../../../../configs/plan/changeNotices";
import { compare } from "../../../../operations/preview/compare";
import { previewText } from "../../../../operations/preview/render";
import { headline } from "../../../../operations/preview/sections";
import { model } from "../../../support/demands";
import { recipes, testSide, tinyModel } from "../../../support/stacks";

const { tiny } = tinyModel;

const host = { gpus: [0, 1].map((id) => ({ id, memoryGiB: 24 })) };
const resolved = {
  ...recipes,
  images: {
    ...recipes.images,
    "llamacpp-cuda": { reference: "gpubox/cuda:7", source: "recipe" as const },
  },
};

describe("a preview says of", () => {
  test("a model that moves to another GPU what each device has before and after", () => {
    const on = (device: number) =>
      testSide(
        { host, models: { tiny: { ...tiny, gpu: { devices: [device], memoryGiB: 8 } } } },
        { resolved },
      );
    const changes = compare(on(0), on(1));
    expect(changes.gpus).toEqual([
      {
        device: "0",
        before: { totalMiB: 24576, usedMiB: 8192, tenants: [{ backend: "tiny", mib: 8192 }] },
        after: { totalMiB: 24576, usedMiB: 0, tenants: [] },
      },
      {
        device: "1",
        before: { totalMiB: 24576, usedMiB: 0, tenants: [] },
        after: { totalMiB: 24576, usedMiB: 8192, tenants: [{ backend: "tiny", mib: 8192 }] },
      },
    ]);
    const backend = changes.containers.find(({ container }) => container === "backend-tiny");
    expect(backend?.action).toBe("replaced");
    expect(backend?.reasons.map(({ input }) => input)).toContain("gpu");
    expect(previewText({ ...changes, stack: "t", base: "b", policy: [], notes: [] })).toContain(
      "  device `0`: 8192 of 24576 MiB → 0 of 24576 MiB\n    `tiny`: 8192 MiB → none",
    );
  });

  describe("a full GPU", () => {
    const large = (memoryGiB: number, device = 0, more = {}) => ({
      ...tiny,
      gpu: { devices: [device], memoryGiB },
      ...more,
    });
    const side = (models: Record<string, unknown>) => testSide({ host, models }, { resolved });

    test("which model has to stop first, because Pulumi deletes last, and not that nobody waits", () => {
      const old = side({ qwen: large(12), small: large(4), other: large(18, 1) });
      const now = side({ qwen3: large(12), small: large(4), other: large(18, 1) });
      const changes = compare(old, now);
      const [device] = changes.crowded;
      expect([device?.device, device?.stop]).toEqual(["0", ["qwen"]]);
      // 12 + 12 + 4 GiB on 24, of which some are kept back.
      expect(device?.missingMib).toBeGreaterThanOrEqual(4096);
      expect(device?.missingMib).toBeLessThan(6144);
      expect(device?.notice).toMatch(
        /^Device 0 cannot hold the new containers beside the old ones, which `up` deletes last: \d\.\d GiB are missing, .* Stop qwen before it, on the host: `docker stop gpubox-test-backend-qwen`\.$/,
      );
      expect(headline(changes)).toBe(
        "models: 1 removed, 1 added; containers: 2 created, 1 replaced, 2 deleted; qwen has to stop before `up` on device 0; no data is lost",
      );
      expect(previewText({ ...changes, stack: "t", base: "b", policy: [], notes: [] })).toContain(
        `Who waits, and how long\n  ${device?.notice}`,
      );
      // Pulumi's own preview says it in the same words.
      expect(changeNotices(deployedBox(old.plan), now.plan)).toContain(device?.notice);
    });

    test("the same of one model that becomes two instances", () => {
      const instances = [0, 1].map((device) => ({ gpu: { devices: [device], memoryGiB: 18 } }));
      const changes = compare(side({ qwen: large(18) }), side({ qwen: { ...tiny, instances } }));
      expect(changes.crowded.map(({ stop }) => stop)).toEqual([["qwen"]]);
    });

    test("the same of a removed one whose neighbour grows into its memory", () => {
      const source = "hf://Qwen/Qwen3-8B";
      const images = { ...resolved.images, vllm: { reference: "vllm@sha256:1", source: "digest" as const } };
      const beside = (models: Record<string, unknown>) =>
        testSide(
          {
            host,
            models: {
              ...models,
              grows: { engine: "vllm", model: source, maxModelLen: 16384, gpu: { devices: [0] } },
            },
          },
          { resolved: { ...resolved, images }, lock: { [source]: model(8) } },
        );
      const changes = compare(beside({ small: large(4) }), beside({}));
      expect(changes.containers.find(({ container }) => container === "backend-grows")?.action).toBe(
        "replaced",
      );
      expect(changes.crowded.map(({ stop }) => stop)).toEqual([["small"]]);
    });

    test("nothing of the kind when both have room, when one is only removed, or when a person starts it", () => {
      const crowded = (a: Record<string, unknown>, b: Record<string, unknown>) =>
        compare(side(a), side(b)).crowded;
      expect(crowded({ qwen: large(8) }, { qwen3: large(8) })).toEqual([]);
      expect(crowded({ qwen: large(18), small: large(4) }, { small: large(4) })).toEqual([]);
      expect(crowded({ qwen: large(18) }, { qwen: large(18, 1) })).toEqual([]);
      expect(crowded({ qwen: large(18) }, { qwen3: large(18, 0, { start: "manual" }) })).toEqual([]);
    });
  });
});

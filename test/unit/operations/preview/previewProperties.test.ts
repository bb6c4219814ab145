import fc from "fast-check";
import { deployedBox } from "../../../../configs/plan/changeNotices";
import { changesNothing, compare } from "../../../../operations/preview/compare";
import { previewMarkdown, previewText } from "../../../../operations/preview/render";
import type { Side } from "../../../../operations/preview/types";
import { runs } from "../../../support/runs";
import { recipes, testSecrets, testSide, tinyModel } from "../../../support/stacks";

const { tiny } = tinyModel;
const far = { engine: "openai", baseUrl: "http://far/v1", start: "manual" };

const entry = fc.record(
  {
    ctxSize: fc.constantFrom(2048, 4096),
    memoryMiB: fc.constantFrom(1024, 2048),
    aliases: fc.constantFrom([], ["nick"]),
    holdSeconds: fc.constantFrom(0, 30),
    start: fc.constantFrom("auto", "manual", "ondemand"),
    env: fc.constantFrom({}, { LLAMA_LOG: "1" }),
  },
  { requiredKeys: [] },
);

const box = fc.record({
  models: fc.record(
    { tiny: entry.map((more) => ({ ...tiny, ...more })), far: fc.constant({ ...far, aliases: [] }) },
    { requiredKeys: [] },
  ),
  gateway: fc.record(
    {
      port: fc.constantFrom(4000, 4100),
      drainTimeout: fc.constantFrom(30, 60),
      hosts: fc.constantFrom([], ["box.example"]),
      memoryMiB: fc.constantFrom(2048, 4096),
    },
    { requiredKeys: [] },
  ),
  cache: fc.record({ mode: fc.constantFrom("bundled", "none"), memoryMiB: fc.constantFrom(256, 512) }),
  database: fc.record({ mode: fc.constantFrom("bundled", "none") }),
  observability: fc.record({ mode: fc.constantFrom("bundled", "none") }),
});

const observed = {
  ...recipes,
  images: {
    ...recipes.images,
    ...Object.fromEntries(
      [
        ...["prometheus", "alertmanager", "grafana", "node-exporter", "redis-exporter", "postgres-exporter"],
        ...["llama-swap"],
      ].map((role) => [role, { reference: `gpubox/${role}:1`, source: "recipe" as const }]),
    ),
  },
};
const secrets = { ...testSecrets, grafanaPassword: "PLANTED-grafana" };
const sideOf = (values: Record<string, unknown>): Side => testSide(values, { secrets, resolved: observed });

test("a preview without a change says so, whatever it notes", () => {
  const changes = compare(testSide(), testSide());
  const preview = { ...changes, stack: "test", base: "before", policy: [], notes: ["still true"] };
  expect(previewText(preview)).toBe(
    "test against before\n\n`gpubox up` would change nothing.\n\nNotes\n  still true",
  );
  expect(previewMarkdown(preview).split("\n")[4]).toBe("`gpubox up` would change nothing.");
});

test("equal boxes make an empty preview", () => {
  fc.assert(
    fc.property(box, (values) => {
      expect(changesNothing(compare(sideOf(values), sideOf(structuredClone(values))))).toBe(true);
    }),
    runs(20),
  );
});

test("every container whose hash, files or existence differs is announced with a reason, and no other", () => {
  fc.assert(
    fc.property(box, box, (a, b) => {
      const [before, after] = [sideOf(a), sideOf(b)];
      const changes = compare(before, after);
      const [old, now] = [deployedBox(before.plan), deployedBox(after.plan)];
      const names = [...new Set([...Object.keys(old.containers), ...Object.keys(now.containers)])];
      const differing = names.filter(
        (name) => old.containers[name] !== now.containers[name] || old.files[name] !== now.files[name],
      );
      expect(changes.containers.map(({ container }) => container).sort()).toEqual(differing.sort());
      const monitors = after.plan.observability?.services.map(({ container }) => container.name) ?? [];
      const interrupted = changes.containers
        .filter(({ action, how }) => action === "replaced" && how === "stop-first")
        .map(({ container }) => container)
        .filter((name) => !monitors.includes(name));
      expect(changes.gaps.map(({ container }) => container).sort()).toEqual(interrupted.sort());
      for (const { action, reasons } of changes.containers)
        if (["replaced", "reloaded", "written"].includes(action))
          expect(reasons.map(({ input }) => input)).not.toEqual([]);
      expect(
        changes.containers.flatMap(({ reasons }) => reasons).filter(({ input }) => input === "gpubox"),
      ).toEqual([]);
    }),
    runs(50),
  );
});

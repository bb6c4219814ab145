import fc from "fast-check";
import { garbage, type Inventory, type KeepList } from "../../../../operations/gc/garbage";

const image = (name: string) => ({ kind: "image" as const, name, id: `sha256:${name}`, bytes: 1 });
const weights = (name: string) => ({ kind: "weights" as const, name, bytes: 1 });
const generation = (name: string) => ({ kind: "generation" as const, name, bytes: 1 });
const host: Inventory = { images: [], weights: [], generations: [], usedImages: [], mounted: [] };
const nothing: KeepList = { plans: [], generations: [], images: [] };
const names = (inventory: Partial<Inventory>, kept: Partial<KeepList> = {}) =>
  garbage({ ...host, ...inventory }, { ...nothing, ...kept }).map(({ name }) => name);

describe("what no stack uses", () => {
  test("is an image that no container, no plan and no recipe of this folder names", () => {
    const images = ["run", "planned", "recipe", "old"].map((tag) => image(`gpubox/edge:${tag}`));
    const plans = [{ edge: { container: { image: "gpubox/edge:planned" } } }];
    const kept = { plans, images: ["gpubox/edge:recipe"] };
    expect(names({ images, usedImages: ["sha256:gpubox/edge:run"] }, kept)).toEqual(["gpubox/edge:old"]);
  });

  test("is a directory of weights that no plan names in a mount, a command or a step", () => {
    const all = ["mounted", "named", "old"].map((commit) => weights(`/srv/models/hf/o/n/${commit}`));
    const plans = [{ command: ["--model", "/srv/models/hf/o/n/named/m.gguf"] }];
    const mounted = ["/srv/models/hf/o/n/mounted/sub"];
    expect(names({ weights: all, mounted }, { plans })).toEqual(["/srv/models/hf/o/n/old"]);
  });

  test("is a generation that neither runs, nor is recorded as serving or as the rollback's target", () => {
    const all = ["serves", "target", "runs", "old"].map((name) => generation(`/srv/gateway/${name}`));
    expect(
      names({ generations: all, mounted: ["/srv/gateway/runs"] }, { generations: ["serves", "target"] }),
    ).toEqual(["/srv/gateway/old"]);
  });

  test("is never what a kept plan mentions anywhere", () => {
    const path = fc.stringMatching(/^\/srv\/[a-z0-9/]{1,20}$/);
    fc.assert(
      fc.property(fc.array(path, { minLength: 1 }), fc.nat(), (paths, index) => {
        const one = paths[index % paths.length]!;
        const plans = [{ deep: [{ in: { a: `--model=${one}/m.gguf` } }] }];
        expect(
          names({ weights: paths.map(weights), generations: paths.map(generation) }, { plans }),
        ).not.toContain(one);
      }),
    );
  });
});

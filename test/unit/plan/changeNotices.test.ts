import { changeNotices, deployedBox } from "../../../configs/plan/changeNotices";
import { testPlan, tinyModel } from "../../support/stacks";

const said = (before: ReturnType<typeof testPlan>, after: ReturnType<typeof testPlan>) =>
  changeNotices(deployedBox(before), after);

test("a first `up` interrupts nobody", () => {
  expect(changeNotices(undefined, testPlan())).toEqual([]);
});

test.each([
  ["another model", { models: { ...tinyModel, far: { engine: "openai", baseUrl: "http://far/v1" } } }],
  ["another router setting", { gateway: { routing: { retries: 1 } } }],
  ["another host name", { gateway: { hosts: ["box.example"] } }],
  ["another wait at the valve", { models: { tiny: { ...tinyModel.tiny, holdSeconds: 5 } } }],
])("%s is not announced, because nobody notices it", (_, change) => {
  expect(said(testPlan(), testPlan(change))).toEqual([]);
});

test("another port of the edge is announced as the only interruption for everybody", () => {
  expect(said(testPlan(), testPlan({ gateway: { port: 4100 } }))).toEqual([
    "The edge is replaced: for about 10 s nobody gets in, and streams that last longer than 5 s are cut.",
  ]);
});

test("a backend that is replaced in place is announced for its own model", () => {
  const after = testPlan({ models: { tiny: { ...tinyModel.tiny, ctxSize: 8192 } } });
  expect(said(testPlan(), after)).toEqual([
    "The backend of tiny is replaced in place, because it runs on the CPU, and no plan knows the host's free memory (replacement: start-first): until the new one has loaded, for at most 298 s, its requests wait 30 s and then get a 503. Other models notice nothing.",
  ]);
});

test("a canary is announced with the time that `up` takes longer", () => {
  const tiny = { ...tinyModel.tiny, canary: { weight: 5, for: "30m" } };
  const after = testPlan({ models: { tiny: { ...tiny, ctxSize: 8192 } } });
  expect(said(testPlan({ models: { tiny } }), after)).toEqual([
    "The backend of tiny is replaced start-first, because its entry says so: a new one loads beside it, is proven, gets a share of the requests for 1800 s as a canary, and takes over. Nobody waits.",
  ]);
});

test("each instance that is replaced is announced, not the last one alone", () => {
  const plan = (memoryMiB: number) =>
    testPlan({
      host: { gpus: [] },
      models: { tiny: { ...tinyModel.tiny, memoryMiB, instances: [{ name: "left" }, { name: "right" }] } },
    });
  expect(said(plan(2048), plan(4096)).map((sentence) => sentence.slice(0, 30))).toEqual([
    "The backend of tiny-left is re",
    "The backend of tiny-right is r",
  ]);
  const other = plan(2048);
  other.backends[0]!.service.container.labels["gpubox.spec"] = "changed";
  expect(said(plan(2048), other)).toHaveLength(1);
});

test("a new gateway image is announced when it migrates a database", () => {
  const database = { ...deployedBox(testPlan()), usesDatabase: true };
  const plan = testPlan();
  plan.gateway.usesDatabase = true;
  expect(changeNotices(database, plan)).toEqual([]);
  expect(changeNotices({ ...database, gatewayImage: "gateway@before" }, plan)).toEqual([
    "The database is backed up and migrated to the schema of the new gateway image. `gpubox rollback` brings the old gateway back and not the old schema: for that, restore the backup (docs/backup.md).",
  ]);
});

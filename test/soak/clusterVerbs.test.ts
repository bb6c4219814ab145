import type { DriftReport } from "../../operations/drift/difference";
import type { ClusterModelStatus } from "../../operations/models/clusterStatus";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { setModel } from "../load/box";
import { ClusterBox } from "../load/clusterBox";
import { MACHINES } from "../support/clusterMachines";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const MINUTE = 60_000;
const IMAGES = ["gateway", "edge", "cache", "database", "llamacpp"].map((role) => `the image gpubox/${role}`);
const canned = { engine: "llamacpp", model: "canned", memoryMiB: 1024, threads: 1 };

/** The verbs of a person, on nodes that run. */
needs(...MACHINES, ...IMAGES)("a box on two nodes that run, as its verbs see it", () => {
  let box: ClusterBox;

  beforeAll(async () => {
    box = await ClusterBox.open(
      "verbs",
      {
        target: "kubernetes",
        host: { gpus: [{ id: 0, memoryGiB: 80, computeCapability: "9.0" }] },
        cache: { mode: "bundled" },
        database: { mode: "bundled" },
      },
      { tiny: canned },
    );
  }, 20 * MINUTE);
  afterAll(() => box?.close(), 2 * MINUTE);

  const gpubox = (words: string) =>
    box.shell(
      `stack=$(basename Pulumi.*-*.yaml .yaml); ${process.execPath} bin/gpubox.cjs ${words} --stack "\${stack#Pulumi.}"`,
    );
  const json = async <Read>(words: string) => JSON.parse((await gpubox(`${words} --json`)).stdout) as Read;

  test(
    "smoke passes, with a virtual key; models are loaded; nothing drifts; the doctor finds nothing wrong",
    async () => {
      const smoke = await gpubox("smoke");
      expect([smoke.code, smoke.code === 0 ? "" : smoke.stdout + smoke.stderr]).toEqual([0, ""]);
      expect(smoke.stdout).toContain("ok    a virtual key");
      const models = await json<ClusterModelStatus[]>("models status");
      expect(models.map(({ model, state, listed }) => [model, state, listed])).toEqual([
        ["echo", "elsewhere", true],
        ["tiny", "loaded", true],
      ]);
      const drift = await gpubox("drift");
      expect([drift.code, drift.stdout]).toEqual([
        0,
        expect.stringContaining("is on its cluster as planned."),
      ]);
      const byHand = { apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata: { name: "by-hand" } };
      await box.must("kubectl apply --filename -", 1, JSON.stringify({ ...byHand, provisioner: "by-hand" }));
      const doctor = await gpubox("doctor");
      expect([doctor.code, doctor.code === 0 ? "" : doctor.stdout]).toEqual([0, ""]);
      expect(doctor.stdout).toContain("ok: cluster, namespace");
    },
    10 * MINUTE,
  );

  test(
    "logs of a model are its pod's and its proof's, and spend is in the sums",
    async () => {
      const { stdout } = await gpubox("logs tiny --since 1h --json");
      const lines = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { role: string });
      expect(new Set(lines.map(({ role }) => role))).toEqual(new Set(["backend-tiny", "prove"]));
      expect(stdout).not.toContain(box.key);
      const tiny = async () => {
        const { model } = await json<{ model: { name: string; requests: number }[] }>("usage --by model");
        return model.find(({ name, requests }) => name === "tiny" && requests > 0);
      };
      await until("the requests of smoke are in the sums", tiny, { everyMs: 3000 });
    },
    10 * MINUTE,
  );

  test(
    "a killed gateway is a note with its lines before; a model without a GPU says so; a scaled gateway is drift",
    async () => {
      const [victim] = await box.pods("gateway");
      (await box.killerOf(victim!))();
      const noted = async () =>
        (await gpubox("doctor")).stdout.includes(`${victim!.name} ended with exit code 137`);
      await until("the doctor notes it", noted, { everyMs: 2000 });
      const back = async () => (await box.pods("gateway")).filter(({ ready }) => ready).length === 2;
      await until("it is back", back, { seconds: 300, everyMs: 1000 });

      const [repository, tag] = recipeReference(packageDir, "llamacpp").split(":");
      await box.change((config) =>
        setModel(config, "large", {
          ...canned,
          image: { repository, tag },
          gpu: { devices: [0], memoryGiB: 8 },
        }),
      );
      const waits = async () =>
        (await json<ClusterModelStatus[]>("models status")).find(({ model }) => model === "large")?.state;
      await until(
        "it waits",
        async () => (await waits())?.startsWith("waits for a node: 0/2 nodes are available"),
        { everyMs: 2000 },
      );
      const doctor = await gpubox("doctor");
      expect([doctor.code, doctor.stdout]).toEqual([
        1,
        expect.stringMatching(/WRONG\s+model\s+Model large: 0 of 1 pods are ready: waits for a node/),
      ]);

      await box.must("kubectl scale deployment/edge --replicas 1");
      const { differences } = await json<DriftReport>("drift");
      expect(differences.map(({ what }) => what)).toContain(
        "Deployment edge is not as planned, by kubectl: spec.replicas is 1 instead of 2.",
      );
    },
    15 * MINUTE,
  );
});

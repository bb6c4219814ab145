import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { setModel } from "../load/box";
import { ClusterBox, figures, lostNothing } from "../load/clusterBox";
import { modelsAt } from "../support/box";
import { MACHINES } from "../support/clusterMachines";
import type { Pod } from "../support/clusterNodes";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const MINUTE = 60_000;
const ANSWER = "pong from the gpubox test model";
const GPU = "nvidia.com/gpu";
const IMAGES = ["gateway", "edge", "cache", "llamacpp"].map((role) => `the image gpubox/${role}`);

const canned = { engine: "llamacpp", model: "canned", memoryMiB: 1024, threads: 1 };

needs(...MACHINES, ...IMAGES)("a box on two nodes that run, without a database", () => {
  let box: ClusterBox;

  beforeAll(async () => {
    box = await ClusterBox.open(
      "nodes",
      {
        host: { gpus: [{ id: 0, memoryGiB: 80, computeCapability: "9.0" }] },
        cache: { mode: "bundled" },
        database: { mode: "none" },
      },
      { tiny: canned },
    );
  }, 20 * MINUTE);
  afterAll(() => box?.close(), 2 * MINUTE);

  const generation = ({ labels }: Pod) => labels["gpubox.generation"];
  const ready = async (role: string) => (await box.pods(role)).filter((pod) => pod.ready && !pod.terminating);
  const seconds = (since: number) => Math.round((Date.now() - since) / 1000);

  test(
    "its pods are on both nodes, and its model answers through the load balancer",
    async () => {
      for (const role of ["gateway", "edge"])
        expect((await ready(role)).map(({ node }) => node).sort()).toEqual(["n1", "n2"]);
      const load = await box.load({ model: "tiny", shorts: 2, streams: 0, expected: ANSWER });
      expect(await load.stop()).toMatchObject(lostNothing);
    },
    5 * MINUTE,
  );

  test(
    "a model is added under load, and no request is lost",
    async () => {
      const [old] = (await ready("gateway")).map(generation);
      const load = await box.load();
      const begin = Date.now();
      await box.change((config) => setModel(config, "extra", box.stubModel("extra")));
      await until(
        "a new gateway serves",
        async () => (await ready("gateway")).some((pod) => generation(pod) !== old),
        {
          seconds: 300,
          everyMs: 500,
        },
      );
      const served = seconds(begin);
      await box.rolled("gateway");
      const rolled = seconds(begin);
      await box.proven();
      const tally = await load.stop();
      figures("add a model", tally, { served, rolled });
      expect(tally).toMatchObject(lostNothing);
      expect(await modelsAt(box.endpoint, box.key)).toEqual(["echo", "extra", "tiny"]);
    },
    20 * MINUTE,
  );

  test(
    "a model that refuses fails its Job, and no other model loses a request",
    async () => {
      const load = await box.load();
      await box.change((config) => setModel(config, "bad", box.stubModel("refuses")));
      await box.rolled("gateway");
      const failed =
        "kubectl wait --for=condition=failed job --selector gpubox.role=prove --field-selector status.successful=0 --timeout 5m";
      await box.must(failed, 6);
      const log = await box.must("kubectl logs --selector gpubox.role=prove --tail 20 --prefix");
      expect(log).toContain("Model bad refused a chat request: status 401");
      await box.change((config) => delete config["gpubox:models"]!.bad);
      await box.rolled("gateway");
      const tally = await load.stop();
      figures("add a model that refuses, and take it back", tally);
      expect(tally).toMatchObject(lostNothing);
      await box.must("kubectl delete job --selector gpubox.role=prove --field-selector status.successful=0");
    },
    20 * MINUTE,
  );

  test(
    "a generation that never starts replaces nobody, a killed gateway comes back as it was, and undo heals",
    async () => {
      const old = (await ready("gateway")).map(generation);
      const load = await box.load();
      const begin = Date.now();
      await box.change((config) => {
        // Too little for LiteLLM: the kernel ends it again and again.
        config["gpubox:gateway"]!.memoryMiB = 96;
      });
      const stuck = await box.shell("kubectl rollout status deployment/gateway --timeout=15m", 16);
      expect(stuck.stderr).toContain('deployment "gateway" exceeded its progress deadline');
      const told = seconds(begin);
      expect((await ready("gateway")).map(generation)).toEqual(old);

      const [victim] = await ready("gateway");
      const kill = await box.killerOf(victim!);
      const excused = load.excuseInFlight();
      const killed = Date.now();
      kill();
      await until("it is missed", async () => (await ready("gateway")).length === 1, { everyMs: 200 });
      await until("it is back", async () => (await ready("gateway")).length === 2, {
        seconds: 300,
        everyMs: 500,
      });
      const back = seconds(killed);
      const after = await ready("gateway");
      expect(after.map(({ name }) => name)).toContain(victim!.name);
      expect(after.map(generation)).toEqual(old);

      await box.must("kubectl rollout undo deployment/gateway");
      await box.rolled("gateway");
      const tally = await load.stop();
      figures("a generation that never starts", tally, { told, back, inFlight: excused });
      expect(tally).toMatchObject(lostNothing);
      expect((await ready("gateway")).map(generation)).toEqual(old);
      await box.change((config) => delete config["gpubox:gateway"]!.memoryMiB);
      await box.rolled("gateway");
    },
    40 * MINUTE,
  );

  test(
    "a model waits while no node has a GPU, and is placed and started once one has",
    async () => {
      const [repository, tag] = recipeReference(packageDir, "llamacpp").split(":");
      const image = { repository, tag };
      await box.change((config) =>
        setModel(config, "large", { ...canned, image, gpu: { devices: [0], memoryGiB: 8 } }),
      );
      const pod = async () => (await box.pods("backend-large"))[0];
      const waiting = async () => {
        const { waits = "" } = (await pod()) ?? {};
        return waits.includes(GPU) && waits;
      };
      expect(await until("its pod waits for a GPU", waiting)).toMatch(
        /^0\/2 nodes are available: 2 Insufficient nvidia\.com\/gpu/,
      );
      const one = `'{"status":{"capacity":{"${GPU}":"1"},"allocatable":{"${GPU}":"1"}}}'`;
      await box.must(`kubectl patch node n2 --subresource=status --type=merge --patch ${one}`);
      const placed = await until("it has a node", async () =>
        (await pod())?.node ? await pod() : undefined,
      );
      expect(placed.node).toBe("n2");
      // It is started with the resource, and finds out by itself that the test promised too much.
      const said = async () => (await box.shell("kubectl logs deployment/backend-large")).stdout;
      const looked = "a GPU that this container was given cannot be reached";
      await until("its server looks for the GPU", async () => (await said()).includes(looked), {
        everyMs: 1000,
      });
    },
    15 * MINUTE,
  );
});

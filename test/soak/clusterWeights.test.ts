import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageDir } from "../../platform/project";
import { cannedModel } from "../../tools/cannedModel";
import { setModel } from "../load/box";
import { ClusterBox, startPython } from "../load/clusterBox";
import { scratch } from "../support/allocate";
import { complete } from "../support/box";
import { MACHINES, NODES } from "../support/clusterMachines";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const MINUTE = 60_000;
const IMAGES = ["gateway", "edge", "llamacpp"].map((role) => `the image gpubox/${role}`);
const ANSWER = "pong from the node's own disk";
/** The hub holds half of its file back, until it is told to go on. */
const SOURCE = "hf://held/model/m.gguf";
const PATIENT = { seconds: 300, everyMs: 1000 };

const onNodes = (replicas: number) => ({ replicas, weights: { volume: "node" } });
const llama = { engine: "llamacpp", memoryMiB: 512, threads: 1 };

needs(...MACHINES, ...IMAGES)("a box on two nodes that run, which keep its models' files", () => {
  let box: ClusterBox;
  let hub: ChildProcess | undefined;
  let endpoint: string;

  beforeAll(async () => {
    const sections = { host: {}, cache: { mode: "none" }, database: { mode: "none" } };
    const tiny = { ...llama, model: "canned", kubernetes: onNodes(1) };
    box = await ClusterBox.open("weights", sections, { tiny });
    const content = join(scratch("hub"), "content");
    writeFileSync(content, cannedModel({ answer: ANSWER }));
    const { address, port } = box.beside;
    endpoint = `http://${address}:${port}`;
    hub = startPython([join(packageDir, "test/support/hub.py"), content, address, String(port)]);
    await until("the hub answers", () =>
      fetch(`${endpoint}/requests`).then(
        () => true,
        () => false,
      ),
    );
    await box.must(`HF_ENDPOINT=${endpoint} ${process.execPath} bin/gpubox.cjs models lock ${SOURCE}`);
  }, 20 * MINUTE);
  afterAll(async () => {
    await box?.close();
    hub?.stdin?.end();
  }, 2 * MINUTE);

  const requests = async () =>
    (await (await fetch(`${endpoint}/requests`)).text())
      .split("\n")
      .filter((line) => line.includes("/held/"));
  /** Downloads from the file's beginning, not continued ones, and not those who read its header only. */
  const begun = async () => (await requests()).filter((line) => /\/resolve\/.* None None$/.test(line)).length;
  const podsOf = async (role: string) => (await box.pods(role)).filter(({ terminating }) => !terminating);
  /** What the loaders of a part's pods have said, the pods' names before it. */
  const said = async (role: string) => {
    const pods = (await podsOf(role)).filter(({ node }) => node);
    return Promise.all(
      pods.map(async ({ name }) => {
        const logs = await box.shell(
          `kubectl logs ${name} --container "$(kubectl get pod ${name} --output 'jsonpath={.spec.initContainers[1].name}')"`,
        );
        return `${name} ${logs.code === 0 ? logs.stdout : ""}`;
      }),
    );
  };
  const counts = (all: string[], words: string) => all.filter((one) => one.includes(words)).length;

  test(
    "of four pods that start at once, one on each node loads the files, and the others wait for it",
    async () => {
      const begin = Date.now();
      await box.change((config) => {
        config["gpubox:host"] = { ...config["gpubox:host"], modelHub: endpoint };
        setModel(config, "twins", { ...llama, model: SOURCE, kubernetes: onNodes(4) });
      });
      await until(
        "two load and two wait",
        async () => counts(await said("backend-twins"), "another download of it is at work; waiting") === 2,
        PATIENT,
      );
      expect(await begun()).toBe(2);
      await fetch(`${endpoint}/release`);
      await box.rolled("backend-twins");
      await box.proven();
      expect((await podsOf("backend-twins")).map(({ node }) => node).sort()).toEqual([
        "n1",
        "n1",
        "n2",
        "n2",
      ]);
      const all = await said("backend-twins");
      expect([counts(all, ": complete"), counts(all, ": all 1 files are here")]).toEqual([2, 2]);
      expect(await complete(box.endpoint, box.key, "twins")).toContain(ANSWER);
      console.info(
        JSON.stringify({
          ...{ scene: "four pods on two nodes", begun: await begun(), requests: (await requests()).length },
          seconds: Math.round((Date.now() - begin) / 1000),
        }),
      );
    },
    20 * MINUTE,
  );

  test("the files are nobody's in a directory of nobody's, and all above it is root's", () => {
    const list = "cd /var/lib/gpubox/models && find hf -printf '%U %m %P\\n' | sort -k 3";
    for (const node of NODES) {
      const [, ...lines] = box.on(node, list).split("\n");
      expect(lines.map((line) => line.replace(/[0-9a-f]{40}/, "COMMIT"))).toEqual([
        "0 755 held",
        "0 755 held/model",
        "65534 755 held/model/COMMIT",
        "65534 644 held/model/COMMIT/.lock",
        "65534 644 held/model/COMMIT/m.gguf",
      ]);
    }
  });

  test(
    "a pod that is made anew, and another model of the same files, ask nobody",
    async () => {
      const before = await requests();
      const [first] = await podsOf("backend-twins");
      const begin = Date.now();
      await box.must(`kubectl delete pod ${first!.name}`);
      const replaced = async () => {
        const ready = (await podsOf("backend-twins")).filter((pod) => pod.ready);
        return ready.length === 4 && !ready.some(({ name }) => name === first!.name);
      };
      await until("it has a successor that is ready", replaced, PATIENT);
      const seconds = Math.round((Date.now() - begin) / 1000);
      await box.change((config) =>
        setModel(config, "again", { ...llama, model: SOURCE, kubernetes: onNodes(1) }),
      );
      await box.rolled("backend-again");
      await box.proven();
      expect(await complete(box.endpoint, box.key, "again")).toContain(ANSWER);
      expect(counts(await said("backend-again"), ": all 1 files are here")).toBe(1);
      expect(await requests()).toEqual(before);
      console.info(JSON.stringify({ scene: "files that are there", requests: 0, seconds }));
    },
    20 * MINUTE,
  );
});

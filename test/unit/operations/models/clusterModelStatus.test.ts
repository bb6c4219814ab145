import { podsIn } from "../../../../operations/kubernetes/pods";
import { workloadsIn } from "../../../../operations/kubernetes/workloads";
import { clusterModelStatus, clusterStatusTable } from "../../../../operations/models/clusterStatus";
import { clusterStack } from "../../../support/cluster";
import { CRASHES, podObject } from "../../../support/clusterPods";
import { GROWN_OTHERS, GROWN_STACK, TINY } from "../../../support/clusterStacks";

const { config, plan } = clusterStack({
  models: {
    tiny: { ...TINY, aliases: ["small"] },
    held: { ...TINY, start: "manual" },
    far: { engine: "openai", baseUrl: "http://far.example:8000/v1" },
  },
});
const NOW = new Date("2026-11-01T12:00:00Z");

/** A Deployment of a model as a server gives it. */
const deployment = (model: string, replicas: number, readyReplicas: number, conditions: object[] = []) => ({
  kind: "Deployment",
  metadata: { name: `backend-${model}`, labels: { "gpubox.role": `backend-${model}` } },
  spec: { replicas },
  status: { readyReplicas, conditions },
});

/** Models come in the order of their names, so tiny is the last. */
function statusOf(workloads: object[], pods: object[], listed?: string[]) {
  const facts = {
    workloads: workloadsIn(JSON.stringify({ items: workloads })),
    pods: podsIn(JSON.stringify({ items: pods })),
    listed,
  };
  return clusterModelStatus(config, plan, facts, NOW);
}
const states = (...given: Parameters<typeof statusOf>) =>
  statusOf(...given)
    .map(({ state }) => state)
    .reverse();

const held = deployment("held", 0, 0);

test("a model that serves, one that a person starts, and one elsewhere are told apart", () => {
  const all = statusOf([deployment("tiny", 1, 1), held], [podObject("t", "backend-tiny")], ["tiny", "small"]);
  const none = { requestsPerMinute: null, requestsNow: null };
  expect([...all].reverse()).toEqual([
    {
      ...{ model: "tiny", instance: "tiny", engine: "llamacpp", aliases: ["small"], listed: true, ...none },
      ...{ up: true, loaded: true, state: "loaded", memoryKills: 0 },
      ...{ replicas: { ready: 1, wanted: 1 }, nodes: ["n1"] },
    },
    {
      ...{ model: "held", instance: "held", engine: "llamacpp", aliases: [], listed: false, ...none },
      ...{ up: false, loaded: false, state: "not started", memoryKills: 0 },
      ...{ replicas: { ready: 0, wanted: 0 }, nodes: [] },
    },
    {
      ...{ model: "far", instance: "far", engine: "openai", aliases: [], listed: false, ...none },
      ...{ up: null, loaded: null, state: "elsewhere", memoryKills: null, replicas: null, nodes: [] },
    },
  ]);
  expect(clusterStatusTable([...all].reverse()).split("\n")).toEqual([
    "MODEL  ENGINE    READY  STATE                        NODES  ALSO CALLED",
    "tiny   llamacpp  1/1    loaded                       n1     small",
    "held   llamacpp  0/0    not started, not served yet",
    "far    openai    –      elsewhere, not served yet",
  ]);
});

test("a model whose pod waits says why, what is wrong before what only starts", () => {
  const unready = { conditions: [{ type: "Ready", status: "False" }] };
  const crash = podObject("a", "backend-tiny", { status: { ...unready, containerStatuses: [CRASHES] } });
  const start = podObject("b", "backend-tiny", { status: { ...unready, containerStatuses: [] } });
  const tiny = (wanted: number, ready: number) => [deployment("tiny", wanted, ready), held];
  expect(states(tiny(1, 0), [start, crash])[0]).toBe("it ended with exit code 1, started again 4 times");
  expect(states(tiny(1, 0), [start])[0]).toBe("loading");
  expect(states(tiny(3, 2), [start, podObject("c", "backend-tiny")])[0]).toBe("loaded, 1 of 3 not: loading");
  expect(states(tiny(1, 0), [])[0]).toBe("no pod yet");
});

test("a pod that the cluster refuses, a model that nobody brought up, and one scaled to nothing are told", () => {
  const message = 'pods "t" is forbidden: exceeded quota: team';
  const refused = deployment("tiny", 1, 0, [{ type: "ReplicaFailure", status: "True", message }]);
  expect(states([refused], [])).toEqual([
    `the cluster makes no pod: ${message}`,
    "not brought up",
    "elsewhere",
  ]);
  expect(states([deployment("tiny", 0, 0), held], [])[0]).toBe("scaled to 0");
});

test("a kill for want of memory counts for a day", () => {
  const killed = (finishedAt: string) =>
    podObject("t", "backend-tiny", {
      status: {
        containerStatuses: [
          { ...CRASHES, lastState: { terminated: { exitCode: 137, reason: "OOMKilled", finishedAt } } },
        ],
      },
    });
  const kills = (at: string) => statusOf([deployment("tiny", 1, 1), held], [killed(at)]).at(-1)!.memoryKills;
  expect([kills("2026-11-01T11:00:00Z"), kills("2026-10-30T11:00:00Z")]).toEqual([1, 0]);
});

test("a model over several nodes has the nodes of all its pods", () => {
  const grown = clusterStack(GROWN_STACK, { boxFiles: GROWN_OTHERS });
  const on = (name: string, role: string, nodeName: string) => podObject(name, role, { spec: { nodeName } });
  const pods = [on("g-0", "backend-giant", "n1"), on("g-0-1", "worker-giant", "n2")];
  const facts = { workloads: [], pods: podsIn(JSON.stringify({ items: pods })) };
  const giant = clusterModelStatus(grown.config, grown.plan, facts, NOW).find(
    ({ model }) => model === "giant",
  );
  expect(giant?.nodes).toEqual(["n1", "n2"]);
});

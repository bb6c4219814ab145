import { podsIn } from "../../../../operations/kubernetes/pods";
import { waitOf } from "../../../../operations/kubernetes/waits";
import { CRASHES, podObject, RUNS } from "../../../support/clusterPods";

const waiting = (reason: string, message?: string) => ({
  ...{ name: "main", ready: false, restartCount: 0 },
  state: { waiting: { reason, message } },
});
const unready = { conditions: [{ type: "Ready", status: "False" }] };
const pending = (status: object) => ({ phase: "Pending", ...unready, ...status });
const placed = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu";

test.each<[string, object, object, ReturnType<typeof waitOf>]>([
  ["serves", {}, {}, undefined],
  ["did its work", { phase: "Succeeded", ...unready }, {}, undefined],
  [
    "fits on no node",
    {
      phase: "Pending",
      conditions: [
        {
          ...{ type: "PodScheduled", status: "False" },
          message: `${placed}. preemption: 0/3 nodes are available: 3 No preemption victims found.`,
        },
      ],
      containerStatuses: [],
    },
    { nodeName: undefined },
    { kind: "node", words: `waits for a node: ${placed}` },
  ],
  [
    "was put out by its node",
    { phase: "Failed", ...unready, reason: "Evicted", message: "The node was low on resource: memory. " },
    {},
    { kind: "failed", words: "failed: Evicted: The node was low on resource: memory" },
  ],
  [
    "has an image that is nowhere",
    pending({ containerStatuses: [waiting("ImagePullBackOff", 'Back-off pulling image "a"')] }),
    {},
    { kind: "image", words: 'its image cannot be pulled: Back-off pulling image "a"' },
  ],
  [
    "lacks its Secret",
    pending({ containerStatuses: [waiting("CreateContainerConfigError", 'secret "env" not found')] }),
    {},
    { kind: "config", words: 'cannot be started: secret "env" not found' },
  ],
  [
    "crashes",
    { ...unready, containerStatuses: [CRASHES] },
    {},
    { kind: "crash", words: "it ended with exit code 1, started again 4 times" },
  ],
  [
    "has too little memory",
    {
      ...unready,
      containerStatuses: [
        { ...CRASHES, restartCount: 1, lastState: { terminated: { exitCode: 137, reason: "OOMKilled" } } },
      ],
    },
    {},
    { kind: "memory", words: "killed, out of memory, started again once" },
  ],
  [
    "fetches its files",
    pending({
      initContainerStatuses: [{ ...RUNS, name: "weights", ready: false }],
      containerStatuses: [waiting("PodInitializing")],
    }),
    {},
    { kind: "starts", words: "loading, at its step weights" },
  ],
  [
    "failed to fetch them",
    pending({
      initContainerStatuses: [{ ...CRASHES, name: "weights" }],
      containerStatuses: [waiting("PodInitializing")],
    }),
    {},
    { kind: "crash", words: "its step weights ended with exit code 1, started again 4 times" },
  ],
  [
    "is made by its node",
    pending({ containerStatuses: [waiting("ContainerCreating")] }),
    {},
    { kind: "starts", words: "starting" },
  ],
  [
    "loads",
    { ...unready, containerStatuses: [{ ...RUNS, ready: false }] },
    {},
    { kind: "starts", words: "loading" },
  ],
])("a pod that %s is told by %j", (_, status, spec, wait) => {
  const text = JSON.stringify({ items: [podObject("backend-1", "backend-tiny", { status, spec })] });
  expect(waitOf(podsIn(text)[0]!)).toEqual(wait);
});

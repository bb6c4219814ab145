/** A pod of the stack "test" as an API server gives it. Its node reports what `status` says; default: it runs and is ready. */
export function podObject(
  name: string,
  role: string,
  {
    status = {},
    labels = {},
    spec = {},
  }: { status?: object; labels?: Record<string, string>; spec?: object } = {},
) {
  return {
    kind: "Pod",
    metadata: {
      name,
      namespace: "box",
      labels: { "gpubox.stack": "test", "gpubox.role": role, ...labels },
    },
    spec: { nodeName: "n1", containers: [{ name: "main", image: "any" }], ...spec },
    status: {
      phase: "Running",
      conditions: [{ type: "Ready", status: "True" }],
      containerStatuses: [RUNS],
      ...status,
    },
  };
}

/** A container that runs and is ready, as a node reports it. */
export const RUNS = { name: "main", ready: true, restartCount: 0, state: { running: {} } };

/** One that a node tries to start again and again. */
export const CRASHES = {
  ...{ name: "main", ready: false, restartCount: 4 },
  state: { waiting: { reason: "CrashLoopBackOff", message: "back-off 1m20s restarting failed container" } },
  lastState: { terminated: { exitCode: 1, reason: "Error", finishedAt: "2026-11-01T10:00:00Z" } },
};

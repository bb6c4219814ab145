import type { BoxPlan } from "../../configs/kit/types";
import { servicesOf } from "../../configs/plan/box";
import { diagnose } from "../../operations/doctor/diagnose";
import type { ContainerFacts, Facts, RemoteFacts } from "../../operations/doctor/facts";
import { upstreamAddresses } from "../../operations/doctor/routing";
import { parseState } from "../../operations/host/state";
import { testPlan } from "./stacks";

/** What a test does to a healthy box, and what `doctor` has to say of it. */
export type Case = [name: string, row: string, facts: Facts, what: string | RegExp, fix: string | RegExp];

export const box = testPlan({
  models: {
    tiny: { engine: "llamacpp", model: "file:///srv/models/tiny.gguf", memoryMiB: 1024 },
    giant: { engine: "llamacpp", model: "file:///srv/models/giant.gguf", start: "manual" },
    far: { engine: "openai", baseUrl: "http://far:9000/v1" },
    lent: { engine: "openai", baseUrl: "http://lent:9000/v1", start: "manual" },
  },
});
export const valveTiny = upstreamAddresses(box).find((target) => target.startsWith("valve-tiny:"))!;

export const well = (role: string): ContainerFacts => ({
  name: `gpubox-test-${role}`,
  role,
  state: "running",
  health: "healthy",
  exitCode: 0,
  oomKilled: false,
  restarts: 0,
  error: "",
  networks: [],
  halted: [],
  probe: "answers",
});

/** The healthy containers of a box, its gateway as often as the plan has it. */
export function wellContainers(plan: BoxPlan): ContainerFacts[] {
  const { replicas, generation } = plan.gateway;
  const gateways = Array.from({ length: replicas }, (_, index) => ({
    ...well("gateway"),
    name: replicas === 1 ? "gpubox-test-gateway" : `gpubox-test-gateway-${index + 1}`,
    generation,
  }));
  return servicesOf(plan).flatMap(({ container: { name } }) => (name === "gateway" ? gateways : well(name)));
}

/** A box in which nothing is wrong; `giant` was never started. */
export const healthy: Facts = {
  docker: { state: "answers" },
  networks: box.networks.map(({ name }) => name),
  containers: wellContainers(box).map((one) =>
    one.role === "backend-giant" ? { ...one, state: "created", health: undefined, probe: undefined } : one,
  ),
  ports: [{ port: 4000, bind: "127.0.0.1", key: "gpubox:gateway.port", holder: "this box" }],
  listed: { status: 404 },
  databaseSeen: "connected",
  reach: Object.fromEntries(upstreamAddresses(box).map((target) => [target, "open"])),
  redis: "PONG",
  postgres: "ready",
  valves: {
    tiny: { status: "UP", running: 0, held: 0 },
    giant: { status: "MAINT (resolution)", running: 0, held: 0 },
  },
  edge: {
    generation: box.gateway.generation,
    gateways: [{ gateway: "gpubox-test-gateway", state: "serving", requests: 0 }],
  },
  requests: [],
  unknownModels: [],
  host: {
    remote: "here",
    unfit: [],
    firewall: [],
    disks: [{ folders: ["/var/lib/docker"], freeBytes: 100e9 }],
    memory: { totalBytes: 24e9, availableBytes: 20e9 },
    gpus: {
      declared: [{ id: "0", memoryMiB: 24_000 }],
      found: { ids: ["0", "GPU-aaaa"], memoryMiB: { "0": 24_564, "GPU-aaaa": 24_564 } },
    },
  },
};

export const findings = (facts: Facts, plan = box) =>
  diagnose(plan, facts).flatMap(({ row, findings }) => findings.map(({ what, fix }) => [row, what, fix]));

/** The healthy box with one container in another state. */
export function with_(role: string, change: Partial<ContainerFacts>): Facts {
  const containers = healthy.containers!.map((one) => (one.role === role ? { ...one, ...change } : one));
  return { ...healthy, containers };
}

export const logged = (status: number, byEdge = true) => ({
  frontend: "clients",
  status,
  byEdge,
  method: "POST",
  path: "/v1/x",
});
export const without = (role: string): Facts => ({
  ...healthy,
  containers: healthy.containers!.filter((one) => one.role !== role),
});
/** The healthy box, on a host behind SSH. */
export const remote = (change: Partial<RemoteFacts>): Facts => ({
  ...healthy,
  host: {
    ...healthy.host,
    remote: {
      state: { ...parseState(""), arch: "amd64", ntp: false },
      steps: [],
      aheadSeconds: 4,
      declaredArch: "amd64",
      ...change,
    },
  },
});
export const up = "Run `gpubox up --stack test`: it starts what should run.";

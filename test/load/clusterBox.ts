import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import type { KubernetesObject } from "../../configs/plan/kubernetes/objects";
import { type RunResult, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { allocate } from "../support/allocate";
import { editStack } from "../support/box";
import { containersOf, podsOf } from "../support/cluster";
import { ClusterMachines, type Node } from "../support/clusterMachines";
import { type Pod, readPods } from "../support/clusterNodes";
import { makeProject, programOf, removeProject, type TestProject } from "../support/project";
import { until } from "../support/wait";
import { mustSucceed, type Sections } from "./box";
import { Load, type LoadOptions, type Tally } from "./client";

const PORT = 4000;
/** Last number of the load balancer's address, see clusterMachines.sh. */
const BALANCER = 33;
const CLASS = "by-hand";
/** Seconds: above the longest stream of a load. */
const DRAIN_TIMEOUT = 60;
const STREAM_SECONDS = 30;

const claims = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({
        accessModes: z.array(z.string()),
        resources: z.object({ requests: z.object({ storage: z.string() }) }),
        volumeName: z.string().optional(),
      }),
    }),
  ),
});

/** Where a server listens. */
interface Place {
  address: string;
  port: number;
}

/** What {@link Load.stop} says of a load that lost nothing. */
export const lostNothing = { failed: 0, cut: 0, wrong: 0, reasons: [] };

/**
 * A box on a cluster of two nodes that run here, brought there by the commands of docs/kubernetes.md. Behind it is the stub of load tests
 * as the model `echo`, a server that is no part of the cluster.
 */
export class ClusterBox {
  readonly endpoint: string;
  private readonly namespace: string;
  private readonly stub: ChildProcess;

  private constructor(
    private readonly machines: ClusterMachines,
    private readonly project: TestProject,
    private readonly stubAt: Place,
  ) {
    this.endpoint = `http://${machines.address(BALANCER)}:${PORT}`;
    this.namespace = `gpubox-${project.stack}`;
    this.stub = startStub(stubAt);
  }

  /**
   * Starts the cluster and brings the box up on it.
   *
   * @param sections of the stack's config, beside gateway, models and kubernetes
   * @param models beside `echo`
   */
  static async open(
    name: string,
    sections: Record<string, unknown>,
    models: Record<string, unknown>,
  ): Promise<ClusterBox> {
    const allocation = allocate(name);
    const { net, stack, port } = allocation;
    const stub = { address: `10.231.${net}.1`, port: port + 10 };
    const project = makeProject(stack, PORT, {
      gateway: { port: PORT, drainTimeout: DRAIN_TIMEOUT, hosts: [`10.231.${net}.${BALANCER}`] },
      kubernetes: { storageClass: CLASS, service: { type: "LoadBalancer" }, context: "admin" },
      models: { echo: stubEntry(stub, "echo"), ...models },
      ...sections,
    });
    try {
      const machines = await ClusterMachines.start(allocation, await imagesOf(project));
      project.env.KUBECONFIG = machines.server.kubeconfig;
      const box = new ClusterBox(machines, project, stub);
      await box.comeUp();
      return box;
    } catch (error) {
      removeProject(project);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.stub.stdin?.end();
    await this.machines.stop();
    removeProject(this.project);
  }

  /** Where another server of this machine may listen for pods. */
  get beside(): Place {
    return { ...this.stubAt, port: this.stubAt.port + 1 };
  }

  /** Runs a shell's text as root on a node. */
  on(node: Node, script: string): string {
    return this.machines.on(node, script);
  }

  /** An entry for another of the stub's models, see stub.py. */
  stubModel(model: string): Record<string, unknown> {
    return stubEntry(this.stubAt, model);
  }

  /** Clients outside the cluster: 8 of short questions and 4 of streams, unless said otherwise. */
  load(options: Partial<LoadOptions> = {}): Promise<Load> {
    const usual = { shorts: 8, streams: 4, streamSeconds: STREAM_SECONDS };
    return new Load({ endpoint: this.endpoint, key: this.key, model: "echo", ...usual, ...options }).start();
  }

  get key(): string {
    const file = join(this.project.dir, ".gpubox", `secrets.${this.project.stack}.json`);
    return (JSON.parse(readFileSync(file, "utf8")) as { masterKey: string }).masterKey;
  }

  /** Edits the config and brings the change to the cluster, as a person does. */
  async change(edit: (config: Sections) => void): Promise<void> {
    editStack(this.project, (config) => edit(config as unknown as Sections));
    await this.apply();
  }

  /** A command of a person's shell in the project's folder; `kubectl` knows the cluster and the namespace. */
  shell(command: string, minutes = 10, stdin?: string): Promise<RunResult> {
    const cache = join(this.project.dir, ".kube");
    const words = `kubectl() { command kubectl --cache-dir ${cache} --namespace ${this.namespace} "$@"; }; set -o pipefail`;
    return run("bash", ["-c", `${words}\n${command}`], {
      cwd: this.project.dir,
      env: this.project.env,
      stdin,
      timeoutMs: minutes * 60_000,
    });
  }

  /** The same, of which everything has to succeed; returns what it prints. */
  async must(command: string, minutes = 10, stdin?: string): Promise<string> {
    const result = await this.shell(command, minutes, stdin);
    mustSucceed(result);
    return result.stdout.trim();
  }

  pods(role?: string): Promise<Pod[]> {
    const all = readPods(this.machines.server, this.namespace);
    return all.then((pods) => pods.filter((pod) => role === undefined || pod.role === role));
  }

  /** Waits until every pod of a part is of the newest version, and the others are gone. */
  async rolled(deployment: string, minutes = 10): Promise<void> {
    await this.must(`kubectl rollout status deployment/${deployment} --timeout=${minutes}m`, minutes + 1);
    const gone = async () => !(await this.pods(deployment)).some(({ terminating }) => terminating);
    await until(`old pods of ${deployment} are gone`, gone, { seconds: 300, everyMs: 1000 });
  }

  /** Waits until the proof of every model is done. */
  async proven(minutes = 10): Promise<void> {
    await this.must(
      `kubectl wait --for=condition=complete job --selector gpubox.role=prove --timeout ${minutes}m`,
      minutes + 1,
    );
  }

  /**
   * How to end a pod's program as the kernel does, when memory is out: at once, before anybody asks anything more. Its container is
   * started again in the same pod.
   */
  async killerOf({ name, node }: Pod): Promise<() => void> {
    const path = "'jsonpath={.status.containerStatuses[0].containerID}'";
    const id = (await this.must(`kubectl get pod ${name} --output ${path}`)).replace("containerd://", "");
    return () =>
      void this.machines.on(node as Node, `ctr --namespace k8s.io tasks kill --signal SIGKILL ${id}`);
  }

  private async comeUp(): Promise<void> {
    try {
      await this.apply();
      await this.proven();
      await this.balance();
    } catch (error) {
      const words = await this.lastWords();
      await this.close();
      throw new Error(`${error}\n${words}`);
    }
  }

  private async apply(): Promise<void> {
    const program = programOf(this.project, ["manifests"]).join(" ");
    const stack = `--stack ${this.project.stack}`;
    await this.must(`${process.execPath} ${program} secrets ${stack} --context admin`);
    await this.must(
      `${process.execPath} ${program} ${stack} | kubectl apply --server-side --force-conflicts --filename -`,
    );
    await this.provide();
  }

  /** Volumes for the claims that have none, as a storage class with disks of the network makes them: any node can have one. */
  private async provide(): Promise<void> {
    const { server } = this.machines;
    const text = await server.output(["get", "pvc", "--output", "json"], undefined, this.namespace);
    const open = claims.parse(JSON.parse(text)).items.filter(({ spec }) => !spec.volumeName);
    if (open.length === 0) return;
    const hostname = { key: "kubernetes.io/hostname", operator: "Exists" };
    await server.apply(
      "default",
      open.map(({ metadata: { name }, spec }) => ({
        apiVersion: "v1",
        kind: "PersistentVolume",
        metadata: { name: `${this.namespace}-${name}` },
        spec: {
          storageClassName: CLASS,
          capacity: spec.resources.requests,
          accessModes: spec.accessModes,
          claimRef: { namespace: this.namespace, name },
          local: { path: this.machines.volume(name) },
          nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [hostname] }] } },
        },
      })),
      "test",
    );
  }

  /** Gives the edge's Service an address, as a cloud's load balancer does. */
  private async balance(): Promise<void> {
    const ingress = [{ ip: this.machines.address(BALANCER) }];
    await this.machines.server.status(this.namespace, "service", "edge", { loadBalancer: { ingress } });
    const headers = { authorization: `Bearer ${this.key}` };
    const answers = () =>
      fetch(`${this.endpoint}/v1/models`, { headers, signal: AbortSignal.timeout(5000) }).then(
        ({ ok }) => ok,
        () => false,
      );
    await until("the load balancer leads to the edge", answers, { everyMs: 500 });
  }

  /** What a person would look at where something does not come up. */
  private async lastWords(): Promise<string> {
    const { stdout, stderr } = await this.shell(
      "kubectl get pods --output wide; kubectl get events --sort-by .lastTimestamp | tail -n 25",
    );
    return stdout + stderr;
  }
}

/** What a scene shows, for those who read the run. */
export function figures(scene: string, tally: Tally, more: Record<string, unknown> = {}): void {
  console.info(JSON.stringify({ scene, ...more, ...tally }));
}

/** Images that the objects of a project name. */
async function imagesOf({ dir, env, stack }: TestProject): Promise<string[]> {
  const printed = await run(process.execPath, programOf({ dir }, ["manifests", "--stack", stack]), {
    cwd: dir,
    env,
  });
  mustSucceed(printed);
  const objects = parseAllDocuments(printed.stdout).map((one) => one.toJS() as KubernetesObject);
  return [...new Set(podsOf(objects).flatMap(([, pod]) => containersOf(pod).map(({ image }) => image)))];
}

function stubEntry({ address, port }: Place, model: string): Record<string, unknown> {
  return { engine: "openai", baseUrl: `http://${address}:${port}/v1`, model };
}

function startStub({ address, port }: Place): ChildProcess {
  return startPython([join(packageDir, "test/load/stub.py"), String(port), address]);
}

/** A program in Python that ends with the process that started it, whatever becomes of that. */
export function startPython(words: string[]): ChildProcess {
  const script = 'setpriv --pdeathsig KILL python3 "$@" & read -r _; kill $!';
  return spawn("bash", ["-c", script, "stub", ...words], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
}

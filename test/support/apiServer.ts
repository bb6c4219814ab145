import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Cluster, documents, kubectl } from "../../platform/kubernetes/kubectl";
import { type RunResult, UserError } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { type Allocation, scratch } from "./allocate";
import { until } from "./wait";

/** What a test of an API server needs on PATH. */
export const API_SERVER = ["etcd", "kube-apiserver", "kubectl", "setpriv"] as const;
/** The same with a scheduler and controllers. */
export const CONTROLLERS = [...API_SERVER, "kube-controller-manager", "kube-scheduler"] as const;

/** Kinds that keep what they are told: no controller writes into them here. */
const KEPT =
  "deployments,statefulsets,jobs,cronjobs,services,configmaps,secrets,persistentvolumeclaims,networkpolicies,poddisruptionbudgets";

const kept = z.object({
  items: z.array(z.looseObject({ kind: z.string(), metadata: z.looseObject({ name: z.string() }) })),
});

/** Contexts of the kubeconfig, and whom the server takes them for. */
const USERS = {
  /** May do everything. */
  admin: "system:masters",
  /** May do what a test binds to the group. */
  visitor: "visitors",
} as const;

const LOOPBACK = "127.0.0.1";

/** What runs beside an API server. */
interface Beside {
  /**
   * `controllers`: a scheduler, and the controllers of Deployments, StatefulSets, Jobs, budgets and claims. `nodes`: what nodes with
   * agents need, all controllers and a server of names.
   */
  more?: "controllers" | "nodes";
  /** Where it listens. Default: loopback. */
  address?: string;
  /** Addresses of Services. */
  services?: string;
  /** Feature gates of the API server: `ImageVolume=true`. Default: the version's own. */
  gates?: string;
}

/** An API server of Kubernetes with an etcd, on loopback: it accepts, judges and keeps objects, and no controller acts on them unless asked for. */
export class ApiServer {
  private readonly dir: string;
  private readonly child: ChildProcess;
  readonly kubeconfig: string;

  private constructor({ port }: Allocation, { more, address = LOOPBACK, services = "", gates = "" }: Beside) {
    this.dir = scratch("api");
    this.kubeconfig = join(this.dir, "kubeconfig");
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const write = (name: string, text: string) => writeFileSync(join(this.dir, name), text, { mode: 0o600 });
    write("account.key", privateKey.export({ type: "pkcs1", format: "pem" }).toString());
    write(
      "tokens.csv",
      Object.entries(USERS)
        .map(([name, group]) => `token-${name},${name},${name},${group}\n`)
        .join(""),
    );
    write("kubeconfig", kubeconfigOf(this.dir, address, [port + 2, port + 3]));
    const ports = [port, port + 1, port + 2].map(String);
    const rest = [more ?? "", address, services, gates];
    this.child = spawn("bash", [join(packageDir, "test/support/apiServer.sh"), this.dir, ...ports, ...rest], {
      stdio: ["pipe", "ignore", "ignore"],
      // Out of the reach of a Ctrl-C, so that it ends by the end of its input alone, and cleans up.
      detached: true,
    });
  }

  /**
   * Starts one, and waits until it is ready.
   *
   * @param beside what runs beside it. Default: nothing
   */
  static async start(allocation: Allocation, beside: Beside = {}): Promise<ApiServer> {
    const made = new ApiServer(allocation, beside);
    const ready = async () => (await made.kubectl(["get", "--raw", "/readyz"])).code === 0;
    await until("the API server is ready", ready, { everyMs: 500 }).catch(async (error) => {
      const log = readFileSync(join(made.dir, "server.log"), "utf8").split("\n").slice(-5).join("\n");
      await made.stop();
      throw new Error(`${error}\n${log}`);
    });
    return made;
  }

  /** The cluster as a person's kubeconfig has it. `nowhere` is a port at which nobody listens; `stranger` has a wrong token. */
  at(namespace: string, context: keyof typeof USERS | "nowhere" | "stranger" = "admin"): Cluster {
    return { context, namespace, kubeconfig: this.kubeconfig, cacheDir: join(this.dir, "cache") };
  }

  kubectl(args: string[], stdin?: string, namespace = "default"): Promise<RunResult> {
    return kubectl(this.at(namespace), args, stdin);
  }

  /** Runs a kubectl that must succeed, and returns what it prints. */
  async output(args: string[], stdin?: string, namespace?: string): Promise<string> {
    const { code, stdout, stderr } = await this.kubectl(args, stdin, namespace);
    if (code !== 0) throw new UserError(`kubectl ${args.join(" ")}: ${stderr}`, "");
    return stdout;
  }

  /** Applies objects for good, as gpubox or as somebody else. */
  async apply(namespace: string, objects: object[], manager = "gpubox"): Promise<string> {
    const how = ["--server-side", "--force-conflicts", "--validate=strict", `--field-manager=${manager}`];
    return this.output(["apply", ...how, "-f", "-"], documents(objects), namespace);
  }

  /** What the server would refuse of the objects, and what it warns of: a line each. Nothing is kept. */
  async judge(namespace: string, objects: object[]): Promise<string[]> {
    const args = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
    const { stderr } = await this.kubectl(args, documents(objects), namespace);
    return stderr.split("\n").filter(Boolean);
  }

  /** What the server would refuse of pods, each as it is made from its template. Nothing is kept. */
  async judgePods(namespace: string, pods: object[]): Promise<string[]> {
    const args = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
    const { stderr } = await this.kubectl(args, documents(pods), namespace);
    return stderr.split("\n").filter(Boolean);
  }

  /** `kind name` of what a namespace has, to what it says, without what the server notes about it. */
  async contents(namespace: string): Promise<Record<string, string>> {
    const { items } = kept.parse(
      JSON.parse(await this.output(["get", KEPT, "--output", "json"], undefined, namespace)),
    );
    return Object.fromEntries(
      items.map(({ kind, metadata: { managedFields: _, resourceVersion: __, ...metadata }, ...rest }) => [
        `${kind} ${metadata.name}`,
        JSON.stringify([metadata, rest]),
      ]),
    );
  }

  /** Makes a namespace that enforces a level of Pod Security. */
  async namespace(
    name: string,
    level: "privileged" | "baseline" | "restricted" = "privileged",
    labels: Record<string, string> = {},
  ): Promise<void> {
    const all = { "pod-security.kubernetes.io/enforce": level, ...labels };
    await this.apply(
      "default",
      [{ apiVersion: "v1", kind: "Namespace", metadata: { name, labels: all } }],
      "test",
    );
  }

  /** Adds a custom resource definition, and waits until the server serves it. */
  async install(file: string): Promise<void> {
    // By the client it would not fit into an annotation.
    await this.output(["apply", "--server-side", "--filename", file]);
    const established = 'jsonpath={.status.conditions[?(@.type=="Established")].status}';
    const look = ["get", "--filename", file, "--output", established];
    const served = async () => {
      // As long as it has no condition at all, kubectl calls that a mistake.
      const { stdout } = await this.kubectl(look);
      return stdout === "True";
    };
    await until("the kind is served", served, { everyMs: 500 });
  }

  /** Sets an object's status, as a controller or a node's agent does. */
  async status(namespace: string, kind: string, name: string, status: object): Promise<void> {
    const patch = ["--subresource=status", "--type=merge", "--patch", JSON.stringify({ status })];
    await this.output(["patch", kind, name, ...patch], undefined, namespace);
  }

  /** Ends both programs and removes their folder. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.stdin?.end();
    await ended;
  }
}

function kubeconfigOf(dir: string, address: string, [port, deaf]: [number, number]): string {
  const cluster = (name: string, at: number) => ({
    name,
    cluster: {
      server: `https://${address}:${at}`,
      "certificate-authority": join(dir, "certificates/apiserver.crt"),
    },
  });
  const context = (name: string, of: string, user: string) => ({ name, context: { cluster: of, user } });
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [cluster("here", port), cluster("nowhere", deaf)],
    users: [...Object.keys(USERS), "stranger"].map((name) => ({ name, user: { token: `token-${name}` } })),
    contexts: [
      ...[...Object.keys(USERS), "stranger"].map((name) => context(name, "here", name)),
      context("nowhere", "nowhere", "admin"),
    ],
    "current-context": "admin",
  });
}

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { output } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { type Allocation, scratch } from "./allocate";
import { ApiServer, CONTROLLERS } from "./apiServer";
import { removeFolder } from "./leftovers";
import { until } from "./wait";

/** What a test needs of this machine for nodes that run. */
export const MACHINES = [
  ...["root", "docker", "ip", "iptables", "unshare", "setpriv", "nsenter", "python3", ...CONTROLLERS],
  ...["containerd", "ctr", "runc", "kubelet", "kube-proxy", "coredns", "plugins of the container network"],
];

/** Not below /tmp, which may be a tmpfs: overlays lie on it. */
const ROOT = "/var/tmp";
const IMAGES = join(ROOT, "gpubox-cluster-images");

export const NODES = ["n1", "n2"] as const;
export type Node = (typeof NODES)[number];

/**
 * A cluster whose two nodes run on this machine: a kubelet, a containerd and kube-proxy each, in namespaces of their own. Its control
 * plane, and CoreDNS, are this machine's.
 */
export class ClusterMachines {
  readonly dir = scratch("nodes", ROOT);
  private child?: ChildProcess;
  server!: ApiServer;

  private constructor(private readonly allocation: Allocation) {
    for (const [index, node] of NODES.entries()) this.configure(node, index);
  }

  /** @param images that pods ask for; this machine's engine has them */
  static async start(allocation: Allocation, images: string[]): Promise<ClusterMachines> {
    const made = new ClusterMachines(allocation);
    try {
      // A containerd that runs would have its own files there.
      await made.giveImages(images);
      made.run();
      await until("the nodes have a network", () => existsSync(join(made.dir, "firsts")));
      const services = `10.231.${allocation.net}.192/26`;
      made.server = await ApiServer.start(allocation, { more: "nodes", address: made.address(1), services });
      copyFileSync(made.server.kubeconfig, join(made.dir, "kubeconfig.new"));
      renameSync(join(made.dir, "kubeconfig.new"), join(made.dir, "kubeconfig"));
      await until("both nodes are ready", () => made.readyNodes(), { everyMs: 500 });
      await until("names are known", () => made.knowsNames(), { everyMs: 500 });
      return made;
    } catch (error) {
      const words = made.lastWords();
      await made.stop();
      throw new Error(`${error}\n${words}`);
    }
  }

  /** An address of the cluster's network, which this machine reaches. 1 is this machine, 32 to 47 are for load balancers. */
  address(last: number): string {
    return `10.231.${this.allocation.net}.${last}`;
  }

  /** How the nodes' control groups begin. */
  private get group(): string {
    return `gpubox-${this.allocation.stack}`;
  }

  /** Runs a shell's text as root on a node. */
  on(node: Node, script: string): string {
    const first = readFileSync(join(this.dir, "firsts"), "utf8").trim().split(" ")[NODES.indexOf(node)]!;
    const into = ["--target", first, "--mount", "--pid", "--net", "--uts", "--ipc", "--wd=/"];
    const done = spawnSync("nsenter", [...into, "--", "sh", "-c", script], { encoding: "utf8" });
    if (done.status !== 0) throw new Error(`${node}: ${script}: ${done.stdout}${done.stderr}`);
    return done.stdout.trim();
  }

  /** A folder that both nodes have, for a volume. */
  volume(name: string): string {
    const path = join(this.dir, "volumes", name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Ends every process of the nodes and of the control plane, and removes their folders. */
  async stop(): Promise<void> {
    if (!this.child) return removeFolder(this.dir);
    if (this.child.exitCode !== null) return;
    if (this.child.signalCode !== null) {
      // What the script would have done.
      await this.server?.stop();
      const groups = `*/${this.group}-n[12]*`;
      spawnSync("find", [
        "/sys/fs/cgroup",
        "-depth",
        "-type",
        "d",
        "-path",
        groups,
        "-exec",
        "rmdir",
        "{}",
        "+",
      ]);
      return removeFolder(this.dir);
    }
    const ended = once(this.child, "exit");
    this.child.stdin?.end();
    await Promise.all([ended, this.server?.stop()]);
  }

  private run(): void {
    const script = join(packageDir, "test/support/clusterMachines.sh");
    this.child = spawn("bash", [script, this.dir, String(this.allocation.net), this.group], {
      stdio: ["pipe", "ignore", "ignore"],
      // Out of the reach of a Ctrl-C, so that it ends by the end of its input alone, and cleans up.
      detached: true,
    });
  }

  private async giveImages(images: string[]): Promise<void> {
    const ids = await output("docker", ["image", "inspect", "--format", "{{.Id}}", ...images]);
    const script = join(packageDir, "test/support/clusterImages.sh");
    const key = createHash("sha256").update(`${images}${ids}`).update(readFileSync(script)).digest("hex");
    const folders = NODES.map((node) => join(this.dir, node, "containerd"));
    await output("flock", [
      `${IMAGES}.lock`,
      "bash",
      script,
      IMAGES,
      key.slice(0, 12),
      ...folders,
      ...images,
    ]);
  }

  private async readyNodes(): Promise<boolean> {
    const path = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}';
    const { stdout } = await this.server.kubectl(["get", "nodes", "--output", path]);
    return stdout === "True True";
  }

  private async knowsNames(): Promise<boolean> {
    const resolver = new Resolver({ timeout: 1000, tries: 1 });
    resolver.setServers([this.address(1)]);
    return resolver.resolve4("kubernetes.default.svc.cluster.local").then(
      () => true,
      () => false,
    );
  }

  private lastWords(): string {
    const logs = NODES.flatMap((node) =>
      ["first.log", "containerd.log", "kubelet.log", "kube-proxy.log"].map((log) =>
        join(this.dir, node, log),
      ),
    );
    return logs
      .filter((log) => existsSync(log))
      .map((log) => [log, ...readFileSync(log, "utf8").trim().split("\n").slice(-5)].join("\n"))
      .join("\n");
  }

  private configure(node: Node, index: number): void {
    const here = join(this.dir, node);
    mkdirSync(join(here, "cni"), { recursive: true });
    const write = (file: string, text: string) => writeFileSync(join(here, file), text);
    write("containerd.toml", containerdConfig(here));
    write("cni/10-test.conflist", JSON.stringify(networkConfig(this.address((index + 1) * 64))));
    const { net } = this.allocation;
    write("kubelet.yaml", stringify(kubeletConfig(here, `${this.group}-${node}`, `10.231.${net}.1`)));
    write(
      "kube-proxy.yaml",
      stringify({
        apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
        kind: "KubeProxyConfiguration",
        clientConnection: { kubeconfig: join(this.dir, "kubeconfig") },
        mode: "iptables",
        clusterCIDR: `10.231.${net}.0/24`,
        hostnameOverride: node,
        // The kernel's own tables stay as they are: they are this machine's.
        conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
      }),
    );
  }
}

/** Version 1.6 and later ones read it. */
function containerdConfig(here: string): string {
  return `version = 2
root = "${here}/containerd"
state = "/run/containerd/state"
oom_score = 0
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/gpubox-test/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${here}/cni"
`;
}

/** A link for each pod, so that two of one node talk through kube-proxy's rules too. */
function networkConfig(first: string) {
  const ranges = [[{ subnet: `${first}/26` }]];
  return {
    cniVersion: "0.4.0",
    name: "test",
    plugins: [
      { type: "ptp", ipMasq: false, ipam: { type: "host-local", ranges, routes: [{ dst: "0.0.0.0/0" }] } },
    ],
  };
}

function kubeletConfig(here: string, group: string, names: string) {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: "AlwaysAllow" },
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${group}`,
    failCgroupV1: false,
    failSwapOn: false,
    protectKernelDefaults: true,
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    volumePluginDir: join(here, "plugins"),
    resolvConf: "/dev/null",
    clusterDomain: "cluster.local",
    clusterDNS: [names],
    // No image can be pulled again.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { "memory.available": "200Mi", "nodefs.available": "3%", "imagefs.available": "3%" },
  };
}

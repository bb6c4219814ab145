import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SECOND_HOSTS, scratch } from "./allocate";

/** A host of namespaces on this machine, with a network of its own, that a stack reaches by SSH. */
export abstract class FarHost {
  readonly address: string;
  /** Files of this machine: the private key that every user there accepts, and the host's own keys. */
  readonly key: string;
  readonly knownHosts: string;
  protected readonly folder: string;
  protected readonly namespace: string;
  /** The program whose first child is the host's PID 1. */
  protected init?: ChildProcess;

  /** @param net third number of the network 10.231.x.0/24 that the host gets */
  constructor(
    readonly name: string,
    private readonly net: number,
  ) {
    mkdirSync(SECOND_HOSTS, { recursive: true });
    this.folder = scratch(name, SECOND_HOSTS);
    this.namespace = `gpubox-${name}`;
    this.address = `10.231.${net}.2`;
    this.key = join(this.folder, "key");
    this.knownHosts = join(this.folder, "known_hosts");
  }

  abstract start(): Promise<void>;

  /** Runs a script as root at the host's console. */
  console(script: string, input?: string | Buffer): string {
    const env = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" };
    const done = spawnSync("nsenter", [...this.into(), "sh", "-c", `cd /; ${script}`], {
      input: input ?? "",
      env: { ...env, DEBIAN_FRONTEND: "noninteractive" },
      maxBuffer: 1 << 28,
    });
    if (done.status !== 0) throw new Error(`${script}: ${done.stdout}${done.stderr}`);
    return done.stdout.toString().trim();
  }

  /** Moves images of this machine's engine to the host's. */
  async copyImages(images: string[]): Promise<void> {
    const pipe = `docker save ${images.join(" ")} | nsenter ${this.into().join(" ")} sh -c "cd / && docker load"`;
    const copy = spawn("sh", ["-c", pipe], { stdio: "ignore" });
    const [code] = await once(copy, "exit");
    if (code !== 0) throw new Error(`the images did not arrive: ${images.join(" ")}`);
  }

  /** The status and the text of an answer to a request that is made on the host itself. */
  request(url: string, headers: Record<string, string> = {}, body?: string): string {
    const flags = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
    const data = body === undefined ? [] : ["--data-binary", "@-", "-H", "content-type: application/json"];
    const curl = ["curl", "-sS", "-m", "60", "-w", " %{http_code}", ...flags, ...data, url];
    const done = spawnSync("nsenter", [`--net=/run/netns/${this.namespace}`, ...curl], {
      input: body ?? "",
      encoding: "utf8",
    });
    return done.status === 0 ? done.stdout : done.stderr;
  }

  /** Ends every SSH connection to the host, as a lost line would; sshd goes on listening. */
  cutConnections(): void {
    this.console("pkill -9 -f '^sshd[^:]*: (ops|plain|root)'");
  }

  /** Section `host` of a stack config that leads here. */
  host(user = "ops"): { docker: string; identityFile: string; knownHosts: string } {
    return { docker: `ssh://${user}@${this.address}`, identityFile: this.key, knownHosts: this.knownHosts };
  }

  /** Ends every process of the host and removes all that it was. */
  async remove(): Promise<void> {
    if (this.init?.exitCode === null && this.init.signalCode === null) {
      const ended = once(this.init, "exit");
      spawnSync("kill", ["-9", this.pid()]);
      this.init.kill("SIGKILL");
      await ended;
    }
    spawnSync("ip", ["netns", "delete", this.namespace]);
    spawnSync("ip", ["link", "delete", this.link()]);
    spawnSync("ip", ["route", "delete", ...this.trap()]);
    for (const rule of this.rules())
      spawnSync("iptables", ["-w", ...rule.map((w) => (w === "-I" ? "-D" : w))]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  protected into(): string[] {
    return ["--target", this.pid(), "--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd=/"];
  }

  /** The host's PID 1, as this machine numbers it. */
  protected pid(): string {
    const parent = this.init?.pid ?? 0;
    return readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8").trim().split(" ")[0]!;
  }

  /** A network without any rule of a previous boot. */
  protected connectNetwork(): void {
    const { namespace } = this;
    const inside = ["netns", "exec", namespace, "ip"];
    spawnSync("ip", ["netns", "delete", namespace]);
    spawnSync("ip", ["link", "delete", this.link()]);
    const steps = [
      ["route", "replace", ...this.trap()],
      ["netns", "add", namespace],
      ["link", "add", this.link(), "type", "veth", "peer", "name", "eth0", "netns", namespace],
      ["address", "add", `10.231.${this.net}.1/24`, "dev", this.link()],
      ["link", "set", this.link(), "up"],
      [...inside, "link", "set", "lo", "up"],
      [...inside, "address", "add", `${this.address}/24`, "dev", "eth0"],
      [...inside, "link", "set", "eth0", "up"],
      [...inside, "route", "add", "default", "via", `10.231.${this.net}.1`],
    ];
    for (const step of steps) must("ip", step);
  }

  /** The way to the package mirror; the engine of this machine drops what it does not know. */
  protected openWay(): void {
    for (const rule of this.rules()) must("iptables", ["-w", ...rule]);
  }

  protected makeUsers(): void {
    must("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", this.key]);
    const key = readFileSync(`${this.key}.pub`, "utf8").trim();
    this.console(`
for user in ops plain; do useradd -m -s /bin/bash -p '*' $user; done
echo 'ops ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/ops
for home in /root /home/ops /home/plain; do
  mkdir -p -m 700 $home/.ssh; echo '${key}' > $home/.ssh/authorized_keys
done
chown -R ops: /home/ops/.ssh; chown -R plain: /home/plain/.ssh
printf '%s\\n' 'UsePAM no' 'MaxStartups 3:100:3' 'PasswordAuthentication no' > /etc/ssh/sshd_config.d/test.conf
kill -HUP "$(cat /run/sshd.pid)"`);
    const keys = this.console("cat /etc/ssh/ssh_host_*_key.pub").split("\n");
    writeFileSync(this.knownHosts, keys.map((line) => `${this.address} ${line}\n`).join(""));
  }

  private link(): string {
    return `gbx-${this.net}`;
  }

  /** Holds what is sent to the host while its link is gone: the default route would take it off this machine. */
  private trap(): string[] {
    return ["unreachable", `10.231.${this.net}.0/24`, "metric", "4000"];
  }

  private rules(): string[][] {
    const here = `10.231.${this.net}.0/24`;
    return [
      ["-t", "nat", "-I", "POSTROUTING", "-s", here, "!", "-d", here, "-j", "MASQUERADE"],
      ["-I", "FORWARD", "-s", here, "-j", "ACCEPT"],
      ["-I", "FORWARD", "-d", here, "-j", "ACCEPT"],
    ];
  }
}

/**
 * Makes a file or a folder that all runs share, once a machine. Two suites may want it at once: the second one waits and
 * finds it.
 * @param script makes "$1"
 */
export function makeOnce(path: string, script: string, words: string[]): void {
  if (existsSync(path)) return;
  const once =
    '[ -e "$1" ] && exit; base=$1 fresh=$2; script=$3; shift 3; sh -euc "$script" _ "$fresh" "$@" && mv -T "$fresh" "$base"';
  const fresh = `${path}.${process.pid}`;
  must("flock", [`${path}.lock`, "sh", "-c", once, "_", path, fresh, script, ...words]);
}

export function must(program: string, args: string[]): void {
  const done = spawnSync(program, args, { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${done.stdout}${done.stderr}`);
}

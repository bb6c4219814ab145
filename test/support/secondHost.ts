import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { aptMirrors } from "../../operations/images/aptMirrors";
import { packageDir } from "../../platform/project";
import { SECOND_HOSTS } from "./allocate";
import { FarHost, makeOnce } from "./farHost";

/** Bases and hosts do not lie below /tmp, which may be a tmpfs that carries no overlay. */
const BASE = join(SECOND_HOSTS, "bookworm");
const PACKAGES = ["openssh-server", "sudo", "iproute2", "ca-certificates", "procps"];

/** What this machine needs to make a second host. */
export const SECOND_HOST = ["root", "debootstrap", "ip", "iptables", "unshare", "nsenter", "ssh"];

/**
 * A bare Debian behind SSH on this machine: a root file system, processes, and a network of its own, made of namespaces, with
 * sshd and the users `ops` (sudo without a password), `plain` (no sudo) and `root`. What namespaces cannot give it: a kernel, systemd, a GPU.
 */
export class SecondHost extends FarHost {
  /** Makes the base once a machine (about a minute, from the archive's mirror), then starts the host. */
  async start(): Promise<void> {
    const words = ["--variant=minbase", `--include=${PACKAGES}`, "bookworm"];
    makeOnce(BASE, 'debootstrap "$2" "$3" "$4" "$1" "$5"', [...words, aptMirrors("/etc").main]);
    this.connectNetwork();
    this.openWay();
    const script = join(packageDir, "test/support/secondHost.sh");
    const inside = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"];
    const init = ["bash", script, BASE, this.folder, this.name];
    // Not `ip netns exec`: it hides the control groups.
    this.init = spawn("nsenter", [`--net=/run/netns/${this.namespace}`, ...inside, ...init], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    this.init.stderr?.on("data", (chunk) => {
      said += chunk;
    });
    const ready = once(this.init.stdout!, "data");
    const ended = once(this.init, "exit").then(() => Promise.reject(new Error(`the init ended: ${said}`)));
    await Promise.race([ready, ended]);
    ended.catch(() => {});
    this.makeUsers();
  }
}

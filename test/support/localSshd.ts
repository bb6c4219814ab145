import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { stringify } from "yaml";
import { packageDir } from "../../platform/project";
import { scratch } from "./allocate";
import { until } from "./wait";

export const SSHD = "/usr/sbin/sshd";

/** What {@link LocalSshd.connect} runs. */
const PROGRAM = "connectStack.cjs";

/** An sshd of this machine's, on a port of loopback, that lets the present user in with a key of its own. */
export class LocalSshd {
  /** A project folder that connections are made from. */
  readonly dir = scratch("sshd");
  private daemon?: ChildProcess;

  constructor(
    readonly stack: string,
    private readonly port: number,
  ) {
    for (const name of ["host", "key"])
      spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(this.dir, name)]);
    const host = readFileSync(join(this.dir, "host.pub"), "utf8");
    writeFileSync(join(this.dir, "known"), `[127.0.0.1]:${port} ${host}`);
    this.writeStack({});
    this.bundle();
    // sshd of root wants it, where no service has made it.
    if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true });
  }

  /** @param more beside the host */
  writeStack(more: Record<string, unknown>): void {
    const host = {
      docker: `ssh://${userInfo().username}@127.0.0.1:${this.port}`,
      identityFile: join(this.dir, "key"),
      knownHosts: join(this.dir, "known"),
      dataDir: join(this.dir, "data"),
    };
    const config = { "gpubox:host": host, ...more };
    writeFileSync(join(this.dir, `Pulumi.${this.stack}.yaml`), stringify({ config }));
  }

  /** @param options of sshd_config: `AllowStreamLocalForwarding=no` */
  async start(...options: string[]): Promise<void> {
    const files = { HostKey: "host", AuthorizedKeysFile: "key.pub", PidFile: "pid" };
    const all = [
      ...Object.entries(files).map(([key, file]) => `${key}=${join(this.dir, file)}`),
      ...["StrictModes=no", "UsePAM=no", "ListenAddress=127.0.0.1", "PermitRootLogin=yes"],
      ...options,
    ];
    this.daemon = spawn(SSHD, ["-D", "-f", "/dev/null", "-p", String(this.port), ...flags(all)], {
      stdio: "ignore",
    });
    await until("sshd listens", () => this.listens(), { everyMs: 50 });
  }

  async stop(): Promise<void> {
    this.signal("KILL");
    this.daemon?.kill("SIGKILL");
    await until("sshd is gone", async () => !(await this.listens()), { everyMs: 50 });
  }

  /** Sends a signal to every session; sshd goes on listening. */
  signal(name: "KILL" | "STOP"): void {
    for (const pid of descendants(this.daemon?.pid)) spawnSync("kill", [`-${name}`, pid]);
  }

  /** What a process of its own meets that connects: nothing, or why not. */
  connect(): Promise<{ what: string; fix: string } | undefined> {
    const child = spawn(process.execPath, [join(this.dir, PROGRAM), this.dir, this.stack]);
    let said = "";
    child.stdout.on("data", (chunk) => {
      said += chunk;
    });
    return once(child, "close").then(() => JSON.parse(said).failed);
  }

  /**
   * A process that connects and stays connected.
   *
   * @returns what ends it, and then what the engine answered through its connection
   */
  async stay(): Promise<() => Promise<string>> {
    const child = spawn(process.execPath, [join(this.dir, PROGRAM), this.dir, this.stack, "stay"]);
    const lines = createInterface(child.stdout);
    await once(lines, "line");
    return async () => {
      const said = once(lines, "line");
      child.stdin.end();
      const [line] = await said;
      return String(line);
    };
  }

  /** Resolves when sshd closes a connection of this moment's that nobody uses. */
  async unusedConnectionEnds(): Promise<void> {
    const config = `.gpubox/ssh/${this.stack}/config`;
    const child = spawn("ssh", ["-F", config, "-S", "none", "-N", "127.0.0.1"], {
      cwd: this.dir,
      stdio: "ignore",
    });
    await once(child, "close");
  }

  /** A command of ssh with the connection's configuration, as steps and verbs give it. */
  ssh(...args: string[]) {
    const config = `.gpubox/ssh/${this.stack}/config`;
    return spawnSync("ssh", ["-F", config, ...args], { cwd: this.dir, encoding: "utf8" });
  }

  /** Numbers of the ssh processes that this folder's connections have. */
  clients(): string[] {
    const found = spawnSync("pgrep", ["-f", `ssh -f -N .*${this.stack}/config`], { encoding: "utf8" });
    return found.stdout.split("\n").filter(Boolean);
  }

  async remove(): Promise<void> {
    this.ssh("-O", "exit", "127.0.0.1");
    for (const pid of this.clients()) spawnSync("kill", [pid]);
    await this.stop();
    rmSync(this.dir, { recursive: true });
  }

  /** One file, because tsx takes longer to read the sources than the connection takes to open. */
  private bundle(): void {
    const source = join(packageDir, "test/support/connectStack.ts");
    const words = ["--bundle", "--platform=node", "--format=cjs", `--outfile=${join(this.dir, PROGRAM)}`];
    const made = spawnSync(join(packageDir, "node_modules/.bin/esbuild"), [source, ...words]);
    if (made.status !== 0) throw new Error(String(made.stderr));
    // The program reads its version beside itself.
    symlinkSync(join(packageDir, "package.json"), join(this.dir, "package.json"));
  }

  private listens(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, "127.0.0.1");
      socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });
  }
}

function flags(options: string[]): string[] {
  return options.flatMap((option) => ["-o", option]);
}

function descendants(pid: number | undefined): string[] {
  if (pid === undefined) return [];
  const { stdout } = spawnSync("pgrep", ["-P", String(pid)], { encoding: "utf8" });
  return stdout
    .split("\n")
    .filter(Boolean)
    .flatMap((child) => [child, ...descendants(Number(child))]);
}

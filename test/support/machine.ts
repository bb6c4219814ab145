import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { aptMirrors } from "../../operations/images/aptMirrors";
import { packageDir } from "../../platform/project";
import { SECOND_HOSTS } from "./allocate";
import { FarHost, makeOnce, must } from "./farHost";
import { SECOND_HOST } from "./secondHost";
import { until } from "./wait";

const DISK = join(SECOND_HOSTS, "trixie.ext4");
const DISK_GIB = 16;
/** What systemd-nspawn ends with when the machine reboots. */
const REBOOT = 133;

/** What this machine needs to make one with systemd: Debian's packages systemd-container, debootstrap and python3. */
export const MACHINE = [...SECOND_HOST, "systemd-nspawn", "mkfs.ext4", "a loop device", "python3"];

/** Takes the Docker of the Debian after this one; it leaves the restart to a person. */
export const takeNextDocker = () => `export DEBIAN_FRONTEND=noninteractive
echo 'deb ${aptMirrors("/etc").main} forky main' > /etc/apt/sources.list.d/forky.list
apt-get -o Acquire::Check-Valid-Until=false update && apt-get install -y -t forky --no-install-recommends docker.io docker-cli containerd runc`;

/** EXT4_IOC_SHUTDOWN without a flush of the journal: nothing of the file system's cache reaches the disk any more. */
const CUT = `import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))`;

/**
 * A bare Debian 13 with systemd on a disk of its own, behind SSH: it boots in seconds, reboots, and loses power. It has the
 * users of every {@link FarHost}. What it lacks is a kernel of its own and a GPU.
 */
export class Machine extends FarHost {
  /** When each boot began, in milliseconds since the epoch. */
  readonly boots: number[] = [];
  private removed = false;

  /** Makes the base once a machine (one or two minutes, from the archive's mirror), then boots a copy. */
  async start(): Promise<void> {
    const script = join(packageDir, "test/support/machineBase.sh");
    makeOnce(DISK, 'bash "$2" "$1" "$3" "$4"', [script, aptMirrors("/etc").main, String(DISK_GIB)]);
    must("cp", ["--sparse=always", DISK, join(this.folder, "disk")]);
    this.openWay();
    this.boot();
    await this.isUp();
    this.makeUsers();
  }

  /** Boots the machine, and once more whenever it wants to. */
  boot(): void {
    this.connectNetwork();
    this.boots.push(Date.now());
    const script = join(packageDir, "test/support/machine.sh");
    const words = [
      "--mount",
      "--propagation=private",
      "bash",
      script,
      this.folder,
      this.name,
      this.namespace,
    ];
    const init = spawn("unshare", words, { stdio: ["ignore", "pipe", "pipe"] });
    const log = createWriteStream(join(this.folder, "console"), { flags: "a" });
    for (const said of [init.stdout, init.stderr]) said.pipe(log, { end: false });
    init.on("exit", (code) => {
      if (code === REBOOT && !this.removed) this.boot();
    });
    this.init = init;
  }

  /** Reboots as a person does; resolves when the next boot begins. */
  async reboot(): Promise<void> {
    const { length } = this.boots;
    this.console("systemctl reboot --no-block");
    await until("the next boot", () => this.boots.length > length, { seconds: 600, everyMs: 50 });
  }

  /** Takes the power away: what was not flushed to the disk is lost. {@link boot} gives it back. */
  async cutPower(): Promise<void> {
    const pid = this.pid();
    const ended = once(this.init!, "exit");
    must("python3", ["-c", CUT, `/proc/${pid}/root`]);
    must("kill", ["-9", pid]);
    await ended;
  }

  /** Waits until the machine takes connections by SSH. */
  async isUp(): Promise<void> {
    await until("sshd", () => this.isActive("ssh"), { seconds: 120, everyMs: 200 });
  }

  /** Whether its Docker runs. */
  runs(): boolean {
    return this.isActive("docker");
  }

  /** Words of `nsenter` that lead to its console. */
  inside(): string[] {
    return this.into();
  }

  /** What the console showed, of all boots. */
  shown(): string {
    return readFileSync(join(this.folder, "console"), "utf8");
  }

  override async remove(): Promise<void> {
    this.removed = true;
    await super.remove();
  }

  private isActive(unit: string): boolean {
    try {
      const words = [...this.into(), "systemctl", "is-active", unit];
      return spawnSync("nsenter", words, { encoding: "utf8" }).stdout === "active\n";
    } catch {
      // Between two boots there is no PID 1.
      return false;
    }
  }
}

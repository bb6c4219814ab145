import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type LockedEngine, planDeviceLockFiles, takingTurns } from "../../../configs/plan/deviceLock";
import { output, run } from "../../../platform/process";
import { packageDir } from "../../../platform/project";
import { recipeReference } from "../../../platform/stack/recipes";
import { allocate, scratch } from "../../support/allocate";
import { needs } from "../../support/needs";
import { until } from "../../support/wait";

/** An image with sh, python3 and llama-server. */
export const engineImage = recipeReference(packageDir, "llamacpp");

export const describeLocks = needs("the image gpubox/llamacpp");

export interface LabEngine {
  devices: string[];
  /** What differs from a stub that loads for `loadSeconds`. */
  engine?: Partial<LockedEngine>;
  loadSeconds?: number;
  /** Of the stub, after SIGTERM. */
  exitCode?: number;
  readySeconds?: number;
  /** MiB of the host's memory below which it is ended. */
  floorMiB?: number;
  /** Program that starts the entrypoint. */
  through?: string[];
  /** More arguments of `docker run`. */
  docker?: string[];
}

/** A health check of what every image of an engine has. */
export function bashHealth(port: number): string[] {
  const ask = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3; read -r _ code _ <&3; [[ $code == 200 ]]`;
  return ["CMD", "bash", "-c", ask];
}

export interface Event {
  /** Seconds since 1970. */
  at: number;
  what: string;
}

/** Backends on one set of device locks, hardened as real ones. */
export class LockLab {
  readonly prefix = `gpubox-${allocate("lock").stack}`;
  dir = "";
  private containers = new Set<string>();

  /** @param engine what its engines differ in, as far as it brings files */
  async open(devices: string[], engine?: Partial<LockedEngine>): Promise<void> {
    this.dir = scratch("lock");
    chmodSync(this.dir, 0o755);
    mkdirSync(join(this.dir, "backend"));
    const { assets = {} } = this.plan({ devices, engine });
    for (const [name, asset] of Object.entries(assets))
      cpSync(join(packageDir, "assets", asset), join(this.dir, "backend", name));
    cpSync(join(__dirname, "engine.py"), join(this.dir, "backend", "engine.py"));
    await this.makeLocks(devices);
  }

  async makeLocks(devices: string[]): Promise<void> {
    await output("sh", ["-c", planDeviceLockFiles(engineImage, this.dir, devices).script]);
  }

  /** A file beside the entrypoint, at /etc/gpubox inside. */
  write(name: string, text: string): void {
    writeFileSync(join(this.dir, "backend", name), text, { mode: 0o755 });
  }

  name(short: string): string {
    return `${this.prefix}-${short}`;
  }

  /** An engine of the lab as a box would run it. */
  plan(engine: LabEngine): LockedEngine {
    const { loadSeconds = 2, exitCode = 0, readySeconds = 60, floorMiB } = engine;
    const backend = {
      gpu: { vendor: "amd" as const, ids: engine.devices },
      entrypoint: ["python3", "/etc/gpubox/engine.py", String(loadSeconds), String(exitCode)],
      env: {},
      mounts: [],
      healthTest: bashHealth(8000),
      readySeconds,
      ...engine.engine,
    };
    return takingTurns<LockedEngine>(this.dir, backend, { floorMiB });
  }

  /** Name of a container that the caller starts, to be removed with the others. */
  adopt(short: string): string {
    this.containers.add(this.name(short));
    return this.name(short);
  }

  async start(short: string, engine: LabEngine): Promise<void> {
    const plan = this.plan(engine);
    const [program, ...words] = [...(engine.through ?? []), ...plan.entrypoint];
    await output("docker", [
      ...["run", "--detach", "--init", "--name", this.adopt(short), "--network", "none"],
      ...["--user", "65534:65534", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp"],
      ...["--security-opt", "no-new-privileges", "--volume", `${join(this.dir, "backend")}:/etc/gpubox:ro`],
      ...Object.entries(plan.env).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
      ...plan.mounts.flatMap(({ source, target }) => ["--volume", `${source}:${target}:ro`]),
      ...(engine.docker ?? []),
      ...["--entrypoint", program!, engineImage, ...words],
    ]);
  }

  docker(verb: string, short: string, ...args: string[]): Promise<string> {
    return output("docker", [verb, ...args, this.name(short)]);
  }

  /** Everything that the container printed. */
  async log(short: string): Promise<string> {
    const { stdout, stderr } = await run("docker", ["logs", this.name(short)]);
    return stdout + stderr;
  }

  /** What the stub did, in order. */
  async events(short: string): Promise<Event[]> {
    return [...(await this.log(short)).matchAll(/^event (\w+) ([\d.]+)$/gm)].map(([, what, at]) => ({
      what: what!,
      at: Number(at),
    }));
  }

  /** Waits until the stub has done `what` for the `times`-th time, and says when. */
  async until(short: string, what: string, times = 1): Promise<number> {
    const found = async () => (await this.events(short)).filter((event) => event.what === what)[times - 1];
    await eventually(async () => (await found()) !== undefined, `${short} ${what} ${times} times`);
    return (await found())!.at;
  }

  async exitCode(short: string): Promise<number> {
    return Number(await this.docker("wait", short));
  }

  async healthy(short: string): Promise<boolean> {
    return (await run("docker", ["exec", this.name(short), "sh", "/etc/gpubox/device-health.sh"])).code === 0;
  }

  async remove(): Promise<void> {
    if (this.containers.size > 0) await run("docker", ["rm", "--force", ...this.containers]);
    this.containers.clear();
  }

  async close(): Promise<void> {
    await this.remove();
    rmSync(this.dir, { recursive: true });
  }
}

/** Waits until `check` is true. */
export async function eventually(check: () => Promise<boolean>, what: string): Promise<void> {
  await until(what, check, { seconds: 120 });
}

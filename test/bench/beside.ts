import { chownSync, cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { output } from "../../platform/process";
import type { LoadBox } from "../load/box";
import { keptOpen } from "../load/exchange";
import { containersOf } from "../support/box";
import type { Way } from "./overhead";
import { addressOf } from "./start";

const PORT = 4000;
const NOBODY = 65534;

/** A gateway beside the one that serves. */
export interface Beside {
  /** The container. */
  name: string;
  way: Way;
  /** Milliseconds from `docker run` to readiness. */
  start: number;
}

/** What is another in it than in the gateway that serves. */
export interface Change {
  title: string;
  /** End of the container's name. */
  suffix: string;
  /** Edits its copy of the config folder. */
  edit?: (folder: string) => void;
  /** A folder for its log. */
  log?: string;
}

/**
 * Starts a gateway with the image, config and environment of the one that serves, on the same networks, and waits until it is
 * ready.
 *
 * @param folder for its config; the caller removes it, and the container
 */
export async function startBeside(box: LoadBox, folder: string, change: Change): Promise<Beside> {
  const { stack } = box.project;
  const { title, suffix, edit, log } = change;
  const serving = await servingGateway(stack);
  const name = `gpubox-${stack}-${suffix}`;
  const config = join(folder, suffix);
  const format = '{{range .Mounts}}{{if eq .Destination "/etc/gpubox"}}{{.Source}}{{end}}{{end}}';
  cpSync(await output("docker", ["inspect", "--format", format, serving]), config, { recursive: true });
  edit?.(config);
  const paths = [folder, config, ...readdirSync(config).map((file) => join(config, file))];
  for (const path of [...paths, ...(log ? [log] : [])]) chownSync(path, NOBODY, NOBODY);
  const environment = await output("docker", ["inspect", "--format", "{{json .Config.Env}}", serving]);
  const image = await output("docker", ["inspect", "--format", "{{.Image}}", serving]);
  const started = performance.now();
  await output("docker", [
    ...["run", "--detach", "--name", name, "--label", `gpubox.stack=${stack}`, "--label", "gpubox.keep=test"],
    ...["--network", `gpubox-${stack}-edge`, "--user", `${NOBODY}:${NOBODY}`, "--tmpfs", "/tmp:rw,size=512m"],
    ...(JSON.parse(environment) as string[]).flatMap((one) => ["--env", one]),
    ...["--volume", `${config}:/etc/gpubox:ro`, ...(log ? ["--volume", `${log}:/var/log/gpubox`] : [])],
    ...["--entrypoint", "sh", image, "/etc/gpubox/entrypoint.sh"],
  ]);
  for (const network of ["data", "models"])
    await output("docker", ["network", "connect", `gpubox-${stack}-${network}`, name]);
  const host = await addressOf(name, `gpubox-${stack}-edge`);
  await box.secondsUntil(async () => ready(`http://${host}:${PORT}/health/readiness`));
  const start = performance.now() - started;
  return { name, start, way: { title, target: keptOpen(host, PORT, box.key), model: "echo" } };
}

async function servingGateway(stack: string): Promise<string> {
  const { gateway } = await containersOf(stack);
  if (!gateway) throw new Error(`no gateway of the stack ${stack} runs`);
  return gateway;
}

async function ready(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    await sleep(200);
    return false;
  }
}

/** What a container's processes hold, without the files that the kernel keeps for them. */
export async function memoryMiB(container: string): Promise<number> {
  const pids = (await output("docker", ["top", container, "-eo", "pid"])).split("\n").slice(1);
  const sizes = pids.map((pid) => {
    const text = readFileSync(`/proc/${pid.trim()}/smaps_rollup`, "utf8");
    return Number(/^Pss: *(\d+) kB/m.exec(text)?.[1]);
  });
  return sizes.reduce((sum, size) => sum + size, 0) / 1024;
}

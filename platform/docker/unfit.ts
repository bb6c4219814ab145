import type { Failure } from "../../configs/kit/problems";
import type { Architecture } from "../../configs/schema/host";
import type { DockerEngine } from "./engine";

/** Docker counts by years since 17.03, and Podman has not got there. */
const FIRST_YEAR = 17;

const ARCHITECTURES: Record<string, Architecture> = {
  x86_64: "amd64",
  amd64: "amd64",
  aarch64: "arm64",
  arm64: "arm64",
};

/** Docker's name of a processor that the kernel names: `amd64`, `arm64`. */
export function architectureOf(processor: string): Architecture | undefined {
  return ARCHITECTURES[processor];
}

/** What an engine is judged by. */
export type EngineKind = Pick<DockerEngine, "version" | "dataRoot" | "processor" | "securityOptions">;

/** How to get an engine that carries boxes. */
const INSTALL = "`gpubox host prepare`, which installs Docker as a service of the system";

/**
 * Why an engine cannot carry a box, each with what to do. Decision 0055 has the reasons.
 *
 * @param name the host, for people
 * @param declared `gpubox:host.arch`
 */
export function unfitEngine(engine: EngineKind, name: string, declared: Architecture): Failure[] {
  const kind = unfitKind(engine, name);
  const real = architectureOf(engine.processor);
  if (kind) return [kind];
  if (real === undefined || real === declared) return [];
  return [
    {
      what: `The processor of ${name} is ${real}, and gpubox:host.arch says ${declared}: images would be chosen for another processor.`,
      fix: `Write gpubox:host.arch: ${real}; \`gpubox plan\` then says which models have no image for it.`,
    },
  ];
}

function unfitKind({ version, dataRoot, securityOptions }: EngineKind, name: string): Failure | undefined {
  if (Number.parseInt(version, 10) < FIRST_YEAR)
    return {
      what: `The engine of ${name} is Podman ${version}, not Docker: it says another id at every question, and nobody starts its containers again after a boot.`,
      fix: `Write the address of a Docker engine in gpubox:host.docker, or remove Podman's stand-in (\`sudo apt-get remove podman-docker\`) and run ${INSTALL}.`,
    };
  if (securityOptions.includes("name=rootless"))
    return {
      what: `Docker on ${name} runs without root: a restart of it ends all containers, and the box's users, memory limits and firewall rules need root.`,
      fix: `Leave the socket out of gpubox:host.docker and run ${INSTALL}; both engines can run side by side.`,
    };
  if (dataRoot.startsWith("/var/snap/"))
    return {
      what: `Docker on ${name} is the snap package, whose confinement hides /srv and /etc from containers.`,
      fix: `Run \`sudo snap remove docker\` there, which deletes its images and volumes, then ${INSTALL}.`,
    };
  return undefined;
}

import { spawn } from "node:child_process";
import { existsSync, openSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { parseJson } from "../json";
import { run, UserError } from "../process";
import { systemProgram } from "../programs";
import { ensureProjectFolders, type Log, machineLine, projectPaths } from "../project";
import { dockerAt } from "./client";
import { dockerPackages, parseOsRelease } from "./packages";

export interface DockerEngine {
  version: string;
  storage: string;
  /** Where the engine keeps images and volumes on its host. */
  dataRoot: string;
  memoryBytes: number;
  cpus: number;
  /** The host's processor as the engine names it: `x86_64`, `aarch64`, in Podman `amd64`. */
  processor: string;
  /** How it confines containers: `name=rootless`, `name=selinux`, `name=seccomp,profile=default`. */
  securityOptions: string[];
}

/** Result of a search for the engine. `silent`: the CLI exists, but no engine answers it. */
export type DockerSearch =
  | { state: "answers"; engine: DockerEngine }
  | { state: "no-cli" }
  | { state: "denied" }
  | { state: "silent"; reason: string };

const dockerInfo = z.object({
  ServerVersion: z.string().min(1),
  Driver: z.string(),
  DockerRootDir: z.string(),
  MemTotal: z.number(),
  NCPU: z.number(),
  Architecture: z.string().nullish(),
  SecurityOptions: z.array(z.string()).nullish(),
});

/** The only place where distributions put the socket; /var/run is a link to /run. */
const localEngine = /^unix:\/\/(\/var)?\/run\/docker\.sock$/;

/** Asks the engine at `host` (`unix://…`, `ssh://…`, `tcp://…`) for its description. Waits at most 30 s by default. */
export async function findDocker(host: string, timeoutMs = 30_000): Promise<DockerSearch> {
  const result = await dockerAt(host).run(["info", "--format", "{{json .}}"], { timeoutMs });
  if (result.code === 127 && result.stdout === "" && result.stderr === "") return { state: "no-cli" };
  const engine = describedEngine(result.stdout);
  // Newer CLIs exit with 1 when an engine does not answer, older ones with 0 and an empty description.
  if (engine) return { state: "answers", engine };
  const words = `${result.stderr}\n${result.stdout}`;
  if (/permission denied/i.test(words) && host.startsWith("unix:")) return { state: "denied" };
  const silence = result.code === 137 ? `no answer within ${timeoutMs / 1000} s` : `exit code ${result.code}`;
  const last = result.stderr.trim().split("\n").at(-1) || silence;
  // Over ssh the CLI wraps ssh's message in a sentence that is usually wrong.
  const reason = last.replace(/^.*stderr=/, "").replace(/[.?!\s]+$/, "");
  return { state: "silent", reason };
}

/** What `docker info` prints as JSON; undefined where no engine answered. */
export function describedEngine(text: string): DockerEngine | undefined {
  const info = dockerInfo.safeParse(parseJson(text)).data;
  if (!info) return undefined;
  return {
    version: info.ServerVersion,
    storage: info.Driver,
    dataRoot: info.DockerRootDir,
    memoryBytes: info.MemTotal,
    cpus: info.NCPU,
    processor: info.Architecture ?? "",
    securityOptions: info.SecurityOptions ?? [],
  };
}

/** The Compose on this machine: the plugin of version 2 first, then `docker-compose`. */
export async function findCompose(): Promise<{ program: string; args: string[] } | undefined> {
  if ((await run("docker", ["compose", "version"])).code === 0)
    return { program: "docker", args: ["compose"] };
  if ((await run("docker-compose", ["version"])).code === 0) return { program: "docker-compose", args: [] };
  return undefined;
}

export interface EnsureDockerOptions {
  /** Address of the engine, as in the stack's config. */
  host: string;
  projectDir: string;
  /** Install without asking. */
  yes: boolean;
  /** Asks the person at the terminal to agree. Absent without one: then nothing is asked. */
  confirm?: (question: string) => Promise<boolean>;
  /** Compose is needed too. Default: false. */
  compose?: boolean;
  log: Log;
}

/**
 * The engine at `host`. A local one that is missing is installed from the distribution (as root on Debian and Ubuntu; asked
 * once on a terminal), one that is not running is started and given 60 s to answer. A remote one is never touched.
 * @throws UserError with the exact command to type in every other case.
 */
export async function ensureDocker(options: EnsureDockerOptions): Promise<DockerEngine> {
  const { host } = options;
  let search = await findDocker(host);
  if (search.state === "denied") throw denied();
  if (search.state !== "answers" && !localEngine.test(host)) throw remoteSilent(host, search);
  const engine = search.state !== "answers" && (search.state === "no-cli" || !systemProgram("dockerd"));
  const compose = options.compose === true && (await findCompose()) === undefined;
  if (engine || compose) await install({ engine, compose }, options);
  // The package may have started the engine already.
  if (search.state !== "answers") search = await findDocker(host);
  if (search.state === "answers") return search.engine;
  await start(options);
  return waitForDocker(options);
}

function denied(): UserError {
  return new UserError(
    "Docker runs, but this user may not use its socket.",
    `Type \`sudo usermod -aG docker ${userInfo().username}\`, log in again, and run the command again.`,
  );
}

function remoteSilent(host: string, search: DockerSearch): UserError {
  const reason = search.state === "silent" ? search.reason : "the `docker` command is missing here";
  return new UserError(
    `Docker at ${host} does not answer (${reason}).`,
    `Make \`docker -H ${host} version\` work first; gpubox installs Docker on the machine it runs on only.`,
  );
}

async function install(
  missing: { engine: boolean; compose: boolean },
  options: EnsureDockerOptions,
): Promise<void> {
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const distribution = parseOsRelease(release);
  const what = missing.engine ? "Docker" : "Docker Compose";
  if (!distribution.family || !systemProgram("apt-get"))
    throw new UserError(
      `${what} is missing, and gpubox cannot install it on ${distribution.name}.`,
      "Install it as https://docs.docker.com/engine/install/ says, and run the command again.",
    );
  const packages = dockerPackages(distribution, missing).join(" ");
  const installing = `apt-get install -y --no-install-recommends ${packages}`;
  const byHand = `Type \`sudo apt-get update && sudo ${installing}\`, and run the command again.`;
  if (process.getuid?.() !== 0)
    throw new UserError(`${what} is missing, and only root can install it.`, byHand);
  if (options.confirm && !options.yes && !(await options.confirm(`Install ${packages} with apt now?`)))
    throw new UserError(`${what} is missing.`, byHand);
  ensureProjectFolders(options.projectDir);
  const logFile = join(projectPaths(options.projectDir).log, "docker-install.log");
  const part = missing.engine ? "docker" : "compose";
  options.log(machineLine(part, `missing — installing ${packages} (log: ${logFile}) …`));
  const wait = "-o DPkg::Lock::Timeout=120";
  const script = `exec >>"$1" 2>&1; apt-get ${wait} update && ${installing.replace("-y", `${wait} -y`)}`;
  const result = await run("sh", ["-c", script, "sh", logFile], {
    env: { DEBIAN_FRONTEND: "noninteractive" },
  });
  if (result.code !== 0)
    throw new UserError(`Installing ${what} failed: ${lastLine(logFile)} (log: ${logFile}).`, byHand);
}

async function start({ projectDir, log }: EnsureDockerOptions): Promise<void> {
  const systemd = existsSync("/run/systemd/system");
  if (process.getuid?.() !== 0)
    throw new UserError(
      "Docker is installed but does not run.",
      `Type \`sudo ${systemd ? "systemctl start docker" : "service docker start"}\`, and run the command again.`,
    );
  if (systemd) {
    log(machineLine("docker", "installed but not running — starting it with systemctl …"));
    await run("systemctl", ["start", "docker"]);
    return;
  }
  const logFile = dockerdLog(projectDir);
  log(machineLine("docker", `installed but not running — starting dockerd (log: ${logFile}) …`));
  const file = openSync(logFile, "a", 0o600);
  // A session of its own, so that Ctrl-C at this terminal does not reach the engine.
  spawn(systemProgram("dockerd") ?? "dockerd", [], { detached: true, stdio: ["ignore", file, file] })
    .on("error", () => {})
    .unref();
}

function dockerdLog(projectDir: string): string {
  ensureProjectFolders(projectDir);
  return join(projectPaths(projectDir).log, "dockerd.log");
}

async function waitForDocker({ host, projectDir }: EnsureDockerOptions): Promise<DockerEngine> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const search = await findDocker(host);
    if (search.state === "answers") return search.engine;
    if (Date.now() > deadline) break;
    await sleep(500);
  }
  if (existsSync("/run/systemd/system"))
    throw new UserError("Docker was started but does not answer.", "Look at `journalctl -u docker`.");
  const logFile = dockerdLog(projectDir);
  throw new UserError(
    `Docker was started but does not answer: ${lastLine(logFile)}`,
    `Look at ${logFile}, or start \`dockerd\` by hand.`,
  );
}

function lastLine(file: string): string {
  return existsSync(file) ? (readFileSync(file, "utf8").trim().split("\n").at(-1) ?? "") : "";
}

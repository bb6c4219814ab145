import { spawnSync } from "node:child_process";
import { z } from "zod";
import { output, type RunOptions, type RunResult, run, UserError } from "../process";
import {
  containerSchema,
  type InspectedContainer,
  type InspectedImage,
  type InspectedNetwork,
  imageSchema,
  networkSchema,
} from "./inspect";

/** Which containers or networks to list. */
export interface Query {
  /** Labels that each of them has, as `name` or `name=value`. */
  labels?: string[];
}

/** Which containers to list. */
export interface ContainerQuery extends Query {
  /** Includes stopped containers. Default: false. */
  all?: boolean;
}

export interface ExecOptions extends Pick<RunOptions, "stdin" | "timeoutMs"> {
  /** Variables of the command. The process list shows them, so they must not contain secrets. */
  env?: Record<string, string>;
}

/** The Docker CLI, pointed at one engine. */
export interface DockerClient {
  /** Runs `docker ARGS`. Never rejects: the caller judges the exit code, which is 127 without a CLI. */
  run(args: string[], options?: RunOptions): Promise<RunResult>;
  /**
   * Standard output of `docker ARGS`, trimmed.
   * @throws UserError with the engine's own words when the command fails
   */
  output(args: string[], options?: RunOptions): Promise<string>;
  /** Like `output`, as lines without empty ones. */
  lines(args: string[]): Promise<string[]>;
  /** Runs `docker ARGS` while blocking the event loop, for at most `timeoutMs`. The code is 127 without a CLI. */
  runSync(args: string[], timeoutMs: number): RunResult;
  /**
   * Runs a shell script whose `docker` commands address this engine. Never rejects.
   * @param options `env` is added to the script's environment
   */
  script(script: string, options?: RunOptions): Promise<RunResult>;
  /**
   * Standard output of such a script, trimmed.
   * @throws UserError with its last words when it fails
   */
  scriptOutput(script: string, options?: RunOptions): Promise<string>;
  /** Runs a command inside a running container. Never rejects. */
  exec(container: string, command: string[], options?: ExecOptions): Promise<RunResult>;
  /**
   * Full ids of containers.
   * @throws UserError when the engine does not answer
   */
  containerIds(query?: ContainerQuery): Promise<string[]>;
  /**
   * Containers with what the engine knows of each. Leaves out those that disappear meanwhile.
   *
   * @throws UserError when the engine does not answer
   */
  containers(query?: ContainerQuery): Promise<InspectedContainer[]>;
  /**
   * Networks with what the engine knows of each. Leaves out those that disappear meanwhile.
   *
   * @throws UserError when the engine does not answer
   */
  networks(query?: Query): Promise<InspectedNetwork[]>;
  /** Images by the reference or id that was asked for, without those that the engine does not have. */
  images(references: Iterable<string>): Promise<Map<string, InspectedImage>>;
  /** Whether the engine has every one of these images. */
  hasImages(...references: string[]): Promise<boolean>;
}

/**
 * A client for one engine.
 *
 * @param host address of the engine, for example `unix:///var/run/docker.sock`
 */
export function dockerAt(host: string): DockerClient {
  /**
   * A missing thing makes `inspect` fail, which still prints the others. Without the engine it prints an empty list.
   */
  const printed = async (args: string[]) => {
    const result = await client.run(args);
    const nothing = ["", "[]"].includes(result.stdout.trim());
    if (result.code !== 0 && nothing && !/no such/i.test(result.stderr)) throw failed(args, result);
    return result.stdout;
  };
  const client: DockerClient = {
    run: (args, options) => run("docker", dockerArguments(host, args), options),
    async output(args, options) {
      const result = await client.run(args, options);
      if (result.code === 0) return result.stdout.trim();
      throw failed(args, result);
    },
    lines: async (args) => linesOf(await client.output(args)),
    runSync(args, timeoutMs) {
      const options = { encoding: "utf8", env: { ...process.env }, timeout: timeoutMs } as const;
      const { status, stdout, stderr, error } = spawnSync("docker", dockerArguments(host, args), options);
      const missing = error && "code" in error && error.code === "ENOENT";
      return { code: status ?? (missing ? 127 : 137), stdout: stdout ?? "", stderr: stderr ?? "" };
    },
    script: (script, options) => run("sh", ["-c", script], toEngine(host, options)),
    scriptOutput: (script, options) => output("sh", ["-c", script], toEngine(host, options)),
    exec(container, command, { env = {}, ...options } = {}) {
      const variables = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
      const input = options.stdin === undefined ? [] : ["-i"];
      return client.run(["exec", ...input, ...variables, container, ...command], options);
    },
    containerIds: ({ all = false, labels } = {}) =>
      client.lines(["ps", ...(all ? ["--all"] : []), "--quiet", "--no-trunc", ...labelFilters(labels)]),
    async containers(query) {
      const ids = await client.containerIds(query);
      if (ids.length === 0) return [];
      return z
        .array(containerSchema)
        .parse(JSON.parse(await printed(["inspect", "--type", "container", ...ids])));
    },
    async networks({ labels } = {}) {
      const ids = await client.lines(["network", "ls", "--quiet", "--no-trunc", ...labelFilters(labels)]);
      if (ids.length === 0) return [];
      return z.array(networkSchema).parse(JSON.parse(await printed(["network", "inspect", ...ids])));
    },
    async images(references) {
      const asked = [...new Set(references)];
      if (asked.length === 0) return new Map();
      const { stdout, stderr } = await client.run(["image", "inspect", ...asked]);
      const missing = new Set([...stderr.matchAll(/no such image: (\S+)/gi)].map(([, name]) => name));
      const found = z.array(imageSchema).parse(JSON.parse(stdout || "[]"));
      // The engine prints what it has in the order of the question.
      const present = asked.filter((reference) => !missing.has(reference));
      if (present.length === found.length) return new Map(present.map((one, at) => [one, found[at]!]));
      const one =
        asked.length === 1 ? [] : await Promise.all(asked.map((reference) => client.images([reference])));
      return new Map(one.flatMap((image) => [...image]));
    },
    hasImages: async (...references) => (await client.run(["image", "inspect", ...references])).code === 0,
  };
  return client;
}

/** Arguments of `docker` for an engine, for callers that start the program themselves. */
export function dockerArguments(host: string, args: string[]): string[] {
  return ["-H", host, ...args];
}

/** Filters by label, as `docker ps` and `docker network ls` take them. */
export function labelFilters(labels: string[] = []): string[] {
  return labels.flatMap((label) => ["--filter", `label=${label}`]);
}

function toEngine(host: string, options: RunOptions = {}): RunOptions {
  return { ...options, env: { DOCKER_HOST: host, ...options.env } };
}

function failed(args: string[], { code, stderr }: RunResult): UserError {
  const words = stderr.trim().split("\n").slice(-3).join(" ") || `exit code ${code}`;
  return new UserError(`\`docker ${args[0]}\` failed: ${words}`, "Run it by hand to see more.");
}

function linesOf(text: string): string[] {
  return text.split("\n").filter(Boolean);
}

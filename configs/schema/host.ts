import { z } from "zod";
import { sshAddress, unixSocket } from "./address";
import { dataDirFlaw } from "./dataDir";
import { gpuSchema } from "./gpu";
import { absolutePath, port } from "./shared";

/** A file of the machine that gpubox runs on. ssh would take a quote or a line break for more of its configuration. */
const sshPath = z
  .string()
  .regex(/^[^-\s"%][^\n"%]*$/, "Write the path of a file, for example ~/.ssh/id_ed25519.");

/** As Docker names them. */
export const architectures = ["amd64", "arm64"] as const;

/** How NVIDIA's GPUs reach a container. */
export const gpuAccesses = ["cdi", "hook"] as const;

export type GpuAccess = (typeof gpuAccesses)[number];

export type Architecture = (typeof architectures)[number];

export const hostSchema = z.strictObject({
  docker: z
    .string()
    .refine(
      (text) => unixSocket(text) !== undefined || sshAddress(text) !== undefined,
      "Write unix:///var/run/docker.sock or ssh://user@host.",
    )
    .default("unix:///var/run/docker.sock")
    .describe(
      "Address of the Docker engine that runs the box: unix:///var/run/docker.sock, or ssh://user@host[:port] for another machine.",
    ),
  identityFile: sshPath.optional().describe("Private key for SSH. Default: the agent's and ssh's own."),
  knownHosts: sshPath
    .optional()
    .describe("File with the host's SSH key, relative to the project. Default: the user's known_hosts."),
  jump: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9@.:,[\]_-]*$/, "Write user@host or user@host:port.")
    .optional()
    .describe("Host that the SSH connection goes through, as ProxyJump has it."),
  dataDir: absolutePath
    .refine((path) => dataDirFlaw(path) === undefined, {
      error: ({ input }) =>
        `It ${dataDirFlaw(String(input))}. Write a directory of the box's own, for example /srv/gpubox.`,
    })
    .default("/srv/gpubox")
    .describe("Directory on the host for env files, configs and model files. One box a directory."),
  arch: z
    .enum(architectures)
    .default("amd64")
    .describe("Architecture of the host; decides which images run. DGX Spark is arm64."),
  modelHub: z
    .string()
    .regex(/^https?:\/\/[^\s?#]*[^\s?#/]$/, "Write the base URL of a hub, without a slash at its end.")
    .default("https://huggingface.co")
    .describe(
      "The model hub, or a mirror of it: where models are locked and downloaded from. By http:// the token of gpubox:hfToken crosses the network in plain text.",
    ),
  gpus: z.array(gpuSchema).default([]).describe("The host's GPUs. Empty: no GPU."),
  gpuAccess: z
    .enum(gpuAccesses)
    .optional()
    .describe(
      "How NVIDIA's GPUs reach containers: cdi, by the host's CDI description, for Docker 25 or newer; or hook, by NVIDIA's runtime hook. Default: what the first `gpubox up` finds, which it writes here: cdi where the engine knows every declared GPU by it.",
    ),
  openToContainers: z
    .array(port)
    .default([])
    .describe(
      "TCP ports of the host that the box's containers may connect to, besides those of servers that this file names by a URL. For a Redis or Postgres on the host, whose URL is a secret. `host prepare` closes all others.",
    ),
  gpuGroups: z
    .array(z.int().min(0))
    .default([])
    .describe(
      "Numeric groups of AMD's device files: stat -c %g /dev/kfd /dev/dri/renderD128. Names would resolve inside the image.",
    ),
});

export type HostConfig = z.infer<typeof hostSchema>;

import { z } from "zod";
import { dataDirFlaw } from "./dataDir";
import { absolutePath } from "./shared";

/** Directories of certificates and fonts, which a container may read although they belong to the system. */
const READABLE = /^\/(etc\/(ssl|pki|ca-certificates)|usr\/share|usr\/local\/share)(\/|$)/;

/** Paths that no mount may cover: the system of the image, and what gpubox itself puts there. */
const COVERED =
  /^\/(app|bin|etc|home|lib|lib64|opt|root|sbin|tmp|usr|var|workspace|vllm-workspace|sgl-workspace)$|^\/(dev|proc|sys|run|cache|etc\/gpubox)(\/|$)/;

/** Device files of accelerators, their networks, and what records or plays. Any other may be the host's disk or memory. */
const DEVICE =
  /^\/dev\/(accel|dri|infiniband|snd|tenstorrent)(\/[\w-]+)*$|^\/dev\/(davinci\w*|devmm_svm|dxg|gdrdrv|hisi_hdc|hl\w*|kfd|mali\d*|neuron\d+|nvhost[\w-]*|nvidia[\w-]*|nvmap|rknpu|video\d+)$/;

/** Why a path of the host may not be mounted, as the end of a sentence about it; undefined for one that may. */
export function sourceFlaw(path: string, readOnly: boolean): string | undefined {
  if (/(^|\/)[^/]*\.sock$/.test(path)) return "is a socket, and who may use Docker's is root on the host";
  if (readOnly && READABLE.test(path)) return path.split("/").includes("..") ? "has .. in it" : undefined;
  return dataDirFlaw(path);
}

const mount = z
  .strictObject({
    source: absolutePath.describe("File or directory on the host. It has to exist."),
    target: absolutePath
      .refine(
        (path) => !COVERED.test(path),
        "The container has that itself. Write another path, for example /srv/x.",
      )
      .optional()
      .describe("Its path in the container. Default: the same."),
    readOnly: z
      .boolean()
      .default(true)
      .describe("false: the engine may write there, if its user may on the host. gpubox changes no owner."),
  })
  .superRefine(({ source, target, readOnly }, context) => {
    const flaw = sourceFlaw(source, readOnly);
    const issue = (key: string, message: string) =>
      context.addIssue({ code: "custom", path: [key], message, input: source });
    if (flaw) issue("source", `It ${flaw}. Mount a directory that is the model's alone, for example /srv/x.`);
    else if (target === undefined && COVERED.test(source))
      issue("target", "The container has that path itself. Write another target, for example /srv/x.");
  });

const limit = z.int().min(-1);
const ulimit = z.union([limit, z.strictObject({ soft: limit, hard: limit })], {
  error: "Write a number, -1 for no limit, or { soft: 1024, hard: 4096 }.",
});

/** What an entry may say of its container beside what its engine needs. Everything is absent by default. */
export const ownContainer = {
  image: z
    .strictObject({
      repository: z
        .string()
        .regex(
          /^[a-z0-9]+([.-][a-z0-9]+)*(:\d+)?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/,
          "Write the repository without a tag, for example vllm/vllm-openai.",
        )
        .describe("Repository, with its registry where that is not Docker Hub: ghcr.io/acme/server."),
      tag: z
        .string()
        .regex(
          /^\w[\w.-]{0,127}$/,
          "Write one tag, for example v0.32.0. `gpubox images lock` finds its digest.",
        )
        .describe("Tag, whose digest `gpubox images lock` writes to the lock."),
    })
    .optional()
    .describe(
      "The image of its server in place of the pinned one, of the same engine: { repository: vllm/vllm-openai, tag: v0.32.0 }.",
    ),
  mounts: z
    .array(mount)
    .min(1)
    .optional()
    .describe("More directories of the host in its container, read-only: [{ source: /srv/x, target: /x }]."),
  ulimits: z
    .strictObject({ memlock: ulimit.optional(), stack: ulimit.optional(), nofile: ulimit.optional() })
    .optional()
    .describe(
      "Limits of its processes in place of the engine's: { memlock: -1, nofile: 65536 }. Bytes, -1: none.",
    ),
  shmMiB: z.int().min(64).optional().describe("Shared memory in MiB. Default: Docker's, 64."),
  devices: z
    .array(
      z
        .string()
        .regex(
          DEVICE,
          "Name an accelerator's device file, for example /dev/infiniband/uverbs0. With others a container could reach the host's disks or memory.",
        ),
    )
    .min(1)
    .optional()
    .describe("More device files of the host, beside those of `gpu`: [/dev/infiniband/uverbs0]."),
};

export type OwnContainer = { [Key in keyof typeof ownContainer]?: z.infer<(typeof ownContainer)[Key]> };

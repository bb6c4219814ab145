import { z } from "zod";
import { absolutePath, secretRef } from "./shared";

/** Backups of the database, by `gpubox backup` and before each migration. */
export const backupSchema = z.strictObject({
  directory: absolutePath
    .optional()
    .describe("Where backups go, best on another disk. Default: .gpubox/backups in the project's folder."),
  keep: z.int().min(1).max(1000).default(7).describe("Backups of this stack that stay; older ones go."),
  restic: z
    .strictObject({
      repository: z
        .string()
        .regex(
          /^[^\s-]\S*$/,
          "Write a repository as restic takes it, for example /mnt/backup or sftp:nas:/backup.",
        )
        .regex(/^(?!\w+:\/\/[^/]*:[^/]*@)(?!rest:https?:\/\/[^/]*@)/, {
          error: "A password does not belong into the repository's address.",
        })
        .describe("Repository as restic takes it; it is made when it is not there yet."),
      password: secretRef.describe("The secret that holds the repository's password."),
    })
    .optional()
    .describe("Backups go into this restic repository and not into a directory."),
});

export type BackupConfig = z.infer<typeof backupSchema>;

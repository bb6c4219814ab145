import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { RawStack } from "../../configs/parse";
import { saltFingerprint, secretFacts } from "../../configs/secrets/facts";
import { sections } from "../../configs/stack/config";
import { refuseNewerStack } from "../versions";
import { readBoxFiles } from "./boxFiles";
import { readHostFiles } from "./hostCertificates";
import { readOwnFiles } from "./ownFiles";
import { plaintextValues } from "./stackConfig";

const PREFIX = "gpubox:";

export interface StackInput {
  raw: RawStack;
  /** Secret values by name. They may only go into `pulumi.secret`. */
  secrets: Record<string, string>;
}

/**
 * The stack config of the running Pulumi program: every value a string, secrets already decrypted.
 *
 * @param projectDir folder of the other boxes' files
 */
export function readPulumiConfig(projectDir: string): StackInput {
  const secretKeys = new Set(
    z.array(z.string()).parse(JSON.parse(process.env.PULUMI_CONFIG_SECRET_KEYS || "[]")),
  );
  const own = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(PREFIX));
  const named = (secret: boolean) =>
    own
      .filter(([key]) => secretKeys.has(key) === secret)
      .map(([key, value]) => [key.slice(PREFIX.length), value] as const);
  const secrets = Object.fromEntries(named(true));
  const values = Object.fromEntries(named(false).map(([key, value]) => [key, structured(key, value)]));
  refuseNewerStack(pulumi.getStack(), values.version);
  const all = { ...secrets, ...plaintextValues(values) };
  return {
    raw: {
      stack: pulumi.getStack(),
      values,
      secrets: secretFacts(all, (name) => name in secrets),
      saltFingerprint: secrets.saltKey && saltFingerprint(secrets.saltKey),
      hostFiles: readHostFiles(values.gateway, values.host),
      boxFiles: readBoxFiles(projectDir, values),
      ownFiles: readOwnFiles(projectDir, values),
    },
    secrets,
  };
}

/** Pulumi passes maps as JSON text. Other values of a section are mistakes that `parseStack` reports. */
function structured(key: string, value: string): unknown {
  if (!(key in sections) && key !== "models" && key !== "jobs") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { WritableDirectoryPlan } from "../configs/kit/containerPlan";
import { directoryInput, makeWritable, removeDirectory, writeDirectory } from "../configs/kit/hostFiles";
import type { DirectoryPlan, SecretValues } from "../configs/kit/text";
import type { Host } from "./Host";

export interface HostFilesArgs {
  host: Host;
  directory: DirectoryPlan;
  writable: WritableDirectoryPlan[];
  secrets: pulumi.Output<SecretValues>;
  /**
   * True: every hash has its own directory, written next to the old one, which goes only after everything that used it.
   * False: the files are replaced in place.
   */
  immutable?: boolean;
}

/**
 * A directory of files on the host. It is written atomically through standard input, so that no secret appears in a
 * command line.
 */
export class HostFiles extends pulumi.ComponentResource {
  constructor(name: string, args: HostFilesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:HostFiles", name, {}, opts);
    const { host, directory } = args;
    const writable = args.writable.map((plan) => makeWritable(host.toolsImage, host.dataDir, plan));
    new local.Command(
      `${name}-write`,
      {
        create: [writeDirectory(host.toolsImage, host.dataDir, directory), ...writable].join(" && "),
        delete: removeDirectory(host.toolsImage, host.dataDir, directory.path),
        stdin: pulumi.secret(args.secrets.apply((values) => directoryInput(directory, values))),
        environment: host.environment,
        triggers: args.immutable ? [directory.path] : undefined,
        // The provider prints output even of secret commands; this one has none worth reading.
        logging: local.Logging.None,
        addPreviousOutputInEnv: false,
      },
      { parent: this, additionalSecretOutputs: ["stdout", "stderr"] },
    );
    this.registerOutputs({});
  }
}

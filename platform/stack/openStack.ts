import type { Resolved } from "../../configs/kit/resolved";
import type { BoxPlan } from "../../configs/kit/types";
import type { StackConfig } from "../../configs/stack/config";
import { findProject } from "../project";
import { planStack, readStack } from "./planStack";
import { readResolved } from "./resolved";
import { findSecretStore, readSecrets, type SecretStore, type Secrets } from "./secrets";

/** A stack of a project on disk, with its secrets at hand. */
export interface OpenStack {
  name: string;
  /** Folder of the project's Pulumi.yaml. */
  projectDir: string;
  /** Where the secrets came from. */
  store: SecretStore;
  secrets: Secrets;
  /** The images and models that this machine resolved. */
  resolved: Resolved;
  /**
   * The parsed config, without the optional models that lack their secrets. Every access reads the file again, because
   * it may change.
   *
   * @throws ConfigError with every mistake in it
   */
  readonly config: StackConfig;
  /**
   * The plan that `up` would carry out.
   *
   * @throws ConfigError with every mistake of the config
   */
  readonly plan: BoxPlan;
}

/**
 * Opens a stack: finds and reads its secrets. Does not contact its host.
 *
 * @param name as in `Pulumi.<name>.yaml`
 * @param projectDir default: the project of the working directory
 * @throws UserError outside a project, for a missing stack file, and when its secrets cannot be read
 */
export async function openStack(name: string, projectDir = findProject()): Promise<OpenStack> {
  const store = await findSecretStore(projectDir, name);
  const secrets = await readSecrets(store);
  const resolved = readResolved(projectDir, name);
  return {
    ...{ name, projectDir, store, secrets, resolved },
    get config() {
      return readStack(projectDir, name, secrets);
    },
    get plan() {
      return planStack(projectDir, name, secrets, resolved);
    },
  };
}

import { HUB_TOKEN } from "../configs/models/weights";
import { UserError } from "../platform/process";
import { findSecretStore, readSecrets, setNames } from "../platform/stack/secrets";

/**
 * The hub's token: that of a secret of the stack, or HF_TOKEN of the environment.
 *
 * @param chosen name of a secret; it has to be set then
 * @throws UserError when the chosen secret is not set
 */
export async function hubToken(
  projectDir: string,
  stack: string,
  chosen?: string,
): Promise<string | undefined> {
  if (!chosen && process.env.HF_TOKEN) return process.env.HF_TOKEN;
  if (!chosen && !setNames(projectDir, stack).includes(HUB_TOKEN)) return undefined;
  const name = chosen ?? HUB_TOKEN;
  const token = (await readSecrets(await findSecretStore(projectDir, stack)))[name];
  if (token) return token;
  throw new UserError(
    `The stack ${stack} has no secret ${name}.`,
    `Set it: \`pulumi config set --secret gpubox:${name} --stack ${stack}\`.`,
  );
}

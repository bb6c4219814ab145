import { hostSchema } from "../../configs/schema/host";
import { UserError } from "../process";
import { connectHost, type StackHost } from "../ssh/connection";
import { checkPlace } from "./owner";
import { readStackFile, rememberedHost, rememberedOwner } from "./stackConfig";

/** The host in a stack's file; undefined when it is missing or invalid, which the config's parser reports. */
export function readStackHost(projectDir: string, stack: string): StackHost | undefined {
  try {
    const host = hostSchema.safeParse(readStackFile(projectDir, stack, {}).values.host ?? {});
    return host.success ? { stack, host: host.data } : undefined;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/**
 * Connects a stack's host when it is behind SSH, and checks that the box there belongs to this stack.
 *
 * @throws UserError for each way in which SSH or the engine can fail, and when the box belongs to another stack
 */
export function connectStack(projectDir: string, stack: string): void {
  const at = readStackHost(projectDir, stack);
  if (!at) return;
  connectHost(projectDir, at);
  checkPlace(at, rememberedOwner(projectDir, stack), rememberedHost(projectDir, stack));
}

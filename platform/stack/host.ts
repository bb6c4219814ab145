import { hostSchema } from "../../configs/schema/host";
import { UserError } from "../process";
import { connectHost, type StackHost } from "../ssh/connection";
import { checkPlace } from "./owner";
import { readStackFile, rememberedHost, rememberedOwner } from "./stackConfig";

/** The host of a stack's file; undefined where it is missing or has mistakes, which whoever parses the config reports. */
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
 * Connects the host of a stack, when it is behind SSH, and sees that the box there is this stack's.
 *
 * @throws UserError for each way in which SSH or the engine can fail, and where the box is another stack's
 */
export function connectStack(projectDir: string, stack: string): void {
  const at = readStackHost(projectDir, stack);
  if (!at) return;
  connectHost(projectDir, at);
  checkPlace(at, rememberedOwner(projectDir, stack), rememberedHost(projectDir, stack));
}

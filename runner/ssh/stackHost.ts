import { hostSchema } from "../../configs/schema/host";
import { readStackFile } from "../stackConfig";
import { connectHost, type StackHost } from "./connection";

/** The host of a stack's file; undefined where that section has mistakes, which whoever parses the config reports. */
export function readStackHost(projectDir: string, stack: string): StackHost | undefined {
  const host = hostSchema.safeParse(readStackFile(projectDir, stack, {}).values.host ?? {});
  return host.success ? { stack, host: host.data } : undefined;
}

/**
 * Connects the host of a stack, when it is behind SSH.
 *
 * @throws UserError for each way in which SSH or the engine can fail
 */
export function connectStack(projectDir: string, stack: string): void {
  const at = readStackHost(projectDir, stack);
  if (at) connectHost(projectDir, at);
}

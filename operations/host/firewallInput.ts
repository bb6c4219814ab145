import { ConfigError } from "../../configs/kit/problems";
import type { StackConfig } from "../../configs/stack/config";
import { asset } from "../../platform/stack/assets";
import { checkStackFile } from "../../platform/stack/planStack";
import { containerReach } from "./containerReach";
import type { FirewallInput } from "./firewall";

/**
 * Reads what the firewall rules of a stack's host are made from. `reach` is missing when the stack's file has mistakes.
 */
export function firewallInput(projectDir: string, stack: string, config?: StackConfig): FirewallInput {
  const script = asset("host/firewall.sh");
  try {
    const checked = config ?? checkStackFile(projectDir, stack, {});
    return { stack, script, reach: containerReach(checked) };
  } catch (error) {
    if (error instanceof ConfigError) return { stack, script };
    throw error;
  }
}

import type { FirewallInput } from "../../configs/host/firewall";
import { containerReach } from "../../configs/host/reach";
import { ConfigError } from "../../configs/problems";
import type { StackConfig } from "../../configs/schema/stack";
import { loadAssets } from "../assets";
import { checkStackFile } from "../planStack";

/** What the firewall rules of a stack's host are made from; without what its containers reach where the file has mistakes. */
export function firewallInput(projectDir: string, stack: string, config?: StackConfig): FirewallInput {
  const script = loadAssets(projectDir)["host/firewall.sh"]!;
  try {
    const checked = config ?? checkStackFile(projectDir, stack, {});
    return { stack, script, reach: containerReach(checked) };
  } catch (error) {
    if (error instanceof ConfigError) return { stack, script };
    throw error;
  }
}

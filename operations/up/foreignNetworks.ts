import { spawnSync } from "node:child_process";
import { engineAddress } from "../../configs/network/engine";
import { foreignNetworks, missingNetworkFix } from "../../configs/plan/foreignNetworks";
import type { StackConfig } from "../../configs/stack/config";
import { UserError } from "../../platform/process";

/** Milliseconds for an answer of the engine. */
const ANSWER_MS = 30_000;

/**
 * Refuses a stack whose containers are to join a network that is not there, before anything of it is changed. Like
 * `checkPlace` it waits without giving the event loop back, and says nothing of a host whose engine does not answer.
 *
 * @throws UserError that names the networks
 */
export function refuseMissingNetworks(config: StackConfig): void {
  const wanted = foreignNetworks(config).map(({ name }) => name);
  if (wanted.length === 0) return;
  const said = spawnSync("docker", ["-H", engineAddress(config), "network", "ls", "--format", "{{.Name}}"], {
    encoding: "utf8",
    timeout: ANSWER_MS,
  });
  if (said.status !== 0) return;
  const there = said.stdout.split("\n");
  const [missing] = wanted.filter((name) => !there.includes(name));
  if (missing === undefined) return;
  throw new UserError(
    `There is no network ${missing} on the host, which gpubox:gateway.joinNetworks names.`,
    missingNetworkFix(missing, `\`gpubox up --stack ${config.stack}\``),
  );
}

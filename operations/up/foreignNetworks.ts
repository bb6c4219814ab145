import { engineAddress } from "../../configs/network/engine";
import { foreignNetworks, missingNetworkFix } from "../../configs/plan/foreignNetworks";
import { entriesOfHost, type StackConfig } from "../../configs/stack/config";
import { dockerAt } from "../../platform/docker/client";
import { UserError } from "../../platform/process";

/** Timeout in milliseconds for the engine's answer. */
const ANSWER_MS = 30_000;

/**
 * Refuses a stack whose containers should join a missing network, before anything changes. Like `checkPlace` it blocks
 * the event loop, and it accepts a host whose engine does not answer.
 *
 * @throws UserError that names the networks
 */
export function checkJoinedNetworks(config: StackConfig): void {
  const wanted = foreignNetworks(config).map(({ name }) => name);
  if (wanted.length === 0) return;
  const list = ["network", "ls", "--format", "{{.Name}}"];
  const { code, stdout } = dockerAt(engineAddress(config)).runSync(list, ANSWER_MS);
  if (code !== 0) return;
  const there = stdout.split("\n");
  const [missing] = wanted.filter((name) => !there.includes(name));
  if (missing === undefined) return;
  throw new UserError(
    `The host has no network ${missing}, which ${isLink(config, missing) ? "`nodes` of a model names" : "gpubox:gateway.joinNetworks names"}.`,
    missingNetworkFix(missing, `\`gpubox up --stack ${config.stack}\``),
  );
}

function isLink({ models, workers }: StackConfig, network: string): boolean {
  return Object.values(entriesOfHost({ models, workers })).some(
    (model) => "nodes" in model && model.nodes?.network === network,
  );
}

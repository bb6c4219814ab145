import type { ModelConfig } from "../engines";
import type { Spanning } from "../engines/nodes";
import type { Problem } from "../kit/problems";
import { isPrivate } from "../network/addresses";

/** Keys that mean nothing for a server over several hosts, with the reason. */
const ALONE: Record<string, string> = {
  instances: "Several servers behind one name are instances, and each of them is on this host.",
  group: "A model that is loaded on demand has one host: nobody frees the memory of another.",
  slot: "A model that is loaded on demand has one host: nobody frees the memory of another.",
  sleep: "A server over several hosts does not sleep: nobody wakes the other ranks.",
  canary: "A canary serves beside the server before, and the devices of all hosts have room for one.",
  dataParallelSize: "Copies of a model need no link between hosts.",
};

/** What to write in their place. */
const INSTEAD: Record<string, string> = {
  dataParallelSize: "Remove it; a box of its own for each copy serves more (gpubox:boxes).",
};

/** Mistakes of entries that span hosts. What the files of the other hosts say is compared in `remotes`. */
export function checkNodes(models: Record<string, ModelConfig>): Problem[] {
  return Object.entries(models).flatMap(([name, model]) =>
    "nodes" in model && model.nodes ? checkEntry(`gpubox:models.${name}`, model as Spanning) : [],
  );
}

function checkEntry(path: string, model: Spanning): Problem[] {
  const nodes = model.nodes!;
  const given = model as unknown as Record<string, unknown>;
  const problems = Object.entries(ALONE)
    .filter(([key]) => given[key] !== undefined && !(key === "dataParallelSize" && given[key] === 1))
    .map(([key, why]) => ({
      path: `${path}.${key}`,
      what: `It means nothing beside nodes. ${why}`,
      fix: INSTEAD[key] ?? "Remove it, or nodes.",
    }));
  if (given.start === "ondemand")
    problems.push({
      path: `${path}.start`,
      what: "A server over several hosts is not loaded on demand: nobody frees the memory of another host.",
      fix: "Write start: auto, or manual.",
    });
  if (given.replacement === "start-first")
    problems.push({
      path: `${path}.replacement`,
      what: "A server over several hosts is replaced stop-first: its ranks go and come together.",
      fix: "Remove it; the preview names the gap.",
    });
  const addresses = [nodes.address, ...nodes.workers.map(({ address }) => address)];
  for (const [rank, address] of addresses.entries()) {
    const at = rank === 0 ? `${path}.nodes.address` : `${path}.nodes.workers[${rank - 1}].address`;
    if (!isPrivate(address))
      problems.push({
        path: at,
        what: `${address} is no private address, and whoever reaches the ranks of a model runs code on them.`,
        fix: "Name the address on the link between the hosts: 10.…, 172.16.… to 172.31.…, 192.168.…, or a tailnet's.",
      });
    if (addresses.indexOf(address) !== rank)
      problems.push({
        path: at,
        what: `${address} is the address of rank ${addresses.indexOf(address)} too.`,
        fix: "Give each host an address of its own.",
      });
  }
  for (const [index, { stack }] of nodes.workers.entries())
    if (nodes.workers.findIndex((other) => other.stack === stack) !== index)
      problems.push({
        path: `${path}.nodes.workers[${index}].stack`,
        what: `The stack ${stack} is named twice, and a host has one rank's place.`,
        fix: "Name each host once.",
      });
  return problems;
}

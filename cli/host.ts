import { ConfigError } from "../configs/kit/problems";
import { dockerHostName } from "../configs/network/engine";
import type { StackConfig } from "../configs/stack/config";
import { boxesScript } from "../operations/host/boxes";
import { computesByKfd } from "../operations/host/deviceFiles";
import { firewallInput } from "../operations/host/firewallInput";
import type { HostPlan } from "../operations/host/planHost";
import { planPreparation, prepareSteps } from "../operations/host/prepare";
import { hostLook } from "../operations/hostStatus/lookAtHost";
import type { HostStatus } from "../operations/hostStatus/status";
import { statusPicture } from "../operations/hostStatus/statusPicture";
import { UserError } from "../platform/process";
import { ensureStackConfig, findProject } from "../platform/project";
import { connectHost, connectSsh, disconnectHost } from "../platform/ssh/connection";
import { readStackHost } from "../platform/stack/host";
import { openStack } from "../platform/stack/openStack";
import { checkStackFile } from "../platform/stack/planStack";
import { agrees } from "./ask";
import { examples, group, printing, stackCommand } from "./command";
import { secondsNumber } from "./numbers";
import { jsonWanted, say } from "./output";
import { drawsPictures, watch } from "./watch";

const prepare = stackCommand("prepare")
  .description(
    "Bring a bare Debian or Ubuntu into the state that a box needs. Shows its plan first. Run again, it finds nothing to do.",
  )
  .option("--remove", "take the firewall rules and units back; Docker and its settings stay")
  .option("-y, --yes", "do not ask before the host is changed")
  .addHelpText("after", examples("host prepare --stack gpu1"))
  .action(
    printing(async ({ stack, remove, yes }) => {
      const projectDir = findProject();
      ensureStackConfig(projectDir, stack);
      const at = readStackHost(projectDir, stack);
      if (!at)
        throw new UserError(`gpubox:host of Pulumi.${stack}.yaml has mistakes.`, "`gpubox plan` names them.");
      connectSsh(projectDir, at);
      const name = dockerHostName(at.host.docker);
      const config = withoutMistakes(projectDir, stack);
      const did: HostPlan = { steps: [], notes: [] };
      for (let again = true; again; ) {
        const input = {
          firewall: firewallInput(projectDir, stack, config),
          boxes: boxesScript(),
          computesByKfd: config !== undefined && computesByKfd(config),
        };
        const plan = await planPreparation(at, remove ? "remove" : input);
        const { state, steps, notes } = plan;
        say(`${name}: ${state.distribution.name}, Docker ${state.docker ?? "missing"}`);
        for (const note of notes) say(`  note: ${note}`);
        for (const { does } of steps) say(`  ${remove ? "-" : "+"} ${does}`);
        if (steps.length > 0 && !yes) await agree(name, steps.length);
        await prepareSteps(at, state, steps, ({ does }) => say(`  … ${does}`));
        did.steps.push(...steps);
        did.notes.push(...notes);
        again = plan.again === true;
      }
      const { notes } = did;
      if (did.steps.length === 0) {
        say("  nothing to do");
        return { stack, steps: [], notes };
      }
      if (remove) return { stack, steps: did.steps.map(({ id, does }) => ({ id, does })), notes };
      // A member of the group docker is one only in a new connection.
      disconnectHost(at);
      connectHost(projectDir, at);
      say(`${name} is prepared. Now: gpubox up --stack ${stack}`);
      return { stack, steps: did.steps.map(({ id, does }) => ({ id, does })), notes };
    }),
  );

const status = stackCommand("status")
  .description("Show a host at a glance: GPUs, memory, disks, models, queue, last boot and last change.")
  .option(
    "-w, --watch [seconds]",
    "look again every so many seconds until Ctrl-C (default: 2)",
    secondsNumber,
  )
  .addHelpText("after", examples("host status --stack gpu1", "host status --watch 5"))
  .action(
    printing(async ({ stack, watch: every }) => {
      const { projectDir, config, plan } = await openStack(stack);
      const look = hostLook(projectDir, config, plan);
      const words = {
        picture: (found: HostStatus) => statusPicture(found, drawsPictures()),
        trouble: ({ what, fix }: UserError) => [what, fix],
      };
      const documents = {
        picture: (found: HostStatus) => [JSON.stringify(found)],
        trouble: ({ what, fix }: UserError) => [JSON.stringify({ error: { what, fix } })],
      };
      if (every !== undefined)
        return watch(every === true ? 2 : every, look, jsonWanted() ? documents : words);
      const found = await look();
      for (const line of words.picture(found)) say(line);
      return found;
    }),
  );

export const definition = group("host", "The host of a stack (docs/hosts.md).", prepare, status);

/** The stack's config; undefined where its file has mistakes, which are another command's to name. */
function withoutMistakes(projectDir: string, stack: string): StackConfig | undefined {
  try {
    return checkStackFile(projectDir, stack, {});
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

async function agree(name: string, count: number): Promise<void> {
  const add = "Look at the plan above; add --yes to do it.";
  if (!process.stdin.isTTY)
    throw new UserError(`Nobody is here to agree to ${count} changes of ${name}.`, add);
  if (!(await agrees(`Do this on ${name}?`, false))) throw new UserError("Nothing was done.", add);
}

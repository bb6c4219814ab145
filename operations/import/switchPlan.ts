import { typed } from "../../configs/kit/text";
import type { StackConfig } from "../../configs/stack/config";
import type { Draft } from "./draft";

/** LiteLLM's own port. */
const USUAL_PORT = 4000;

/** How far the new box's ports are from the old ones: they stay readable, 4000 and 4100. */
const APART = 100;

/** Gives the new box ports beside those of the old gateway, which keeps running. */
export function giveOtherPorts(draft: Draft): void {
  if (!hasOld(draft)) return;
  const old = draft.oldPort ?? USUAL_PORT;
  const port = old + APART > 65_000 ? old - APART : old + APART;
  draft.set("gateway", ["port"], port);
  draft.remark("gpubox:gateway.port", `The old gateway keeps ${old} until the switch.`);
}

/** Whether something answers clients now: a store of weights is nothing that runs. */
function hasOld({ routes }: Draft): boolean {
  return routes.length > 0;
}

/** The steps from the old setup to the new one, a line each. Nothing of the old one stops before its step. */
export function switchPlan(draft: Draft, config: StackConfig, stack: string): string[] {
  const old = draft.oldPort ?? USUAL_PORT;
  const { port } = config.gateway;
  const onGpu = Object.entries(config.models).filter(([, model]) => "gpu" in model && model.gpu);
  const links = draft.weights.map(
    ({ from, to, links }) =>
      `mkdir -p ${typed(`${config.host.dataDir}/models/${to}`)} && cp -al${links ? "L" : ""} ${typed(`${from}/.`)} ${typed(`${config.host.dataDir}/models/${to}/`)}`,
  );
  const steps = [
    ...(links.length > 0
      ? [
          `Give the box the weights that the host has, as hard links: nothing is copied or downloaded.\n     ${links.join("\n     ")}`,
        ]
      : []),
    ...(onGpu.length > 0
      ? [
          `Fetch first what takes long, while the old servers run: \`npx gpubox models lock --stack ${stack}\`, then \`npx gpubox preview --stack ${stack}\`.`,
          `A GPU rarely holds a model twice: stop the old servers of ${onGpu.map(([name]) => name).join(", ")} just before the next step. They are away until the new ones have loaded.`,
        ]
      : []),
    `npx gpubox up --stack ${stack}${hasOld(draft) ? `            # the box answers on port ${port}; the old gateway keeps ${old}` : ""}`,
    ...(hasOld(draft) ? portSteps(stopLine(draft, config), { old, port, stack }) : []),
  ];
  return steps.map((step, index) => `  ${index + 1}. ${step}`);
}

/** What stops the old gateway and the servers whose models came over. Others go on. */
function stopLine({ containers, engine }: Draft, { models }: StackConfig): string {
  const over = containers.filter(({ model }) => model === undefined || models[model] !== undefined);
  const own = over.filter(({ file }) => file === undefined).map(({ name }) => name);
  const files = [...new Set(over.flatMap(({ file }) => file ?? []))];
  const lines = [
    ...(own.length > 0
      ? [`docker ${engine ? `--host ${typed(engine)} ` : ""}stop ${own.map(typed).join(" ")}`]
      : []),
    ...files.map((file) => {
      const services = over.filter((one) => one.file === file).map(({ name }) => name);
      return `docker compose -f ${typed(file)} stop ${services.map(typed).join(" ")}`;
    }),
  ];
  return lines.length > 0 ? lines.join(" && ") : "(stop the old gateway)";
}

/** From a new box on other ports to one in the place of the old gateway. */
function portSteps(
  stop: string,
  { old, port, stack }: { old: number; port: number; stack: string },
): string[] {
  return [
    `npx gpubox import --check --old http://127.0.0.1:${old} --new http://127.0.0.1:${port}`,
    `Clients that you can change one by one: point them at port ${port}. They notice nothing, and you are done when the last has moved.`,
    `Or move the port. Write gpubox:gateway.port: ${old} into Pulumi.${stack}.yaml, then in one line:\n     ${stop} && npx gpubox up --stack ${stack}\n     New connections are refused from the stop until the edge has the port, some seconds; to go back, set the port to ${port} again and start the old gateway.`,
    "Remove the old setup when nothing asks it any more.",
  ];
}

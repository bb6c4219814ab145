import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Option } from "@commander-js/extra-typings";
import { profiles } from "../configs/stack/profiles";
import { planRemoteGateway } from "../operations/gatewayConfig/remoteGateway";
import { findProject } from "../platform/project";
import { loadAssets } from "../platform/stack/assets";
import { readModelLock } from "../platform/stack/modelLock";
import { checkStackFile, namedSecrets } from "../platform/stack/planStack";
import { readResolved } from "../platform/stack/resolved";
import { examples, printing, stackCommand } from "./command";
import { say } from "./output";

export const definition = stackCommand("gateway-config")
  .description(
    "Write config.yaml and env.template for a LiteLLM gateway on another machine. The template names secrets but contains none.",
  )
  .addOption(
    new Option(
      "--profile <profile>",
      "stateful: with a database, and Redis where the stack has it; stateless: with neither",
    )
      .choices(profiles)
      .makeOptionMandatory(),
  )
  .option("--out <dir>", "where the files go; default: .gpubox/gateway-config/<stack>-<profile>")
  .addHelpText("after", examples("gateway-config --profile stateless --out ./gateway"))
  .action(
    printing(async ({ stack, profile, out: given }) => {
      const projectDir = findProject();
      const plan = planRemoteGateway(
        {
          // The secrets are needed on that gateway's machine, not here.
          config: checkStackFile(projectDir, stack, { secrets: namedSecrets(projectDir, stack) }),
          lock: readModelLock(projectDir),
          resolved: readResolved(projectDir, stack),
          assets: loadAssets(),
        },
        profile,
      );
      const out = resolve(given ?? join(projectDir, ".gpubox", "gateway-config", `${stack}-${profile}`));
      mkdirSync(out, { recursive: true });
      writeFileSync(join(out, "config.yaml"), plan.config);
      writeFileSync(join(out, "env.template"), plan.env);
      for (const [name, text] of Object.entries(plan.modules)) writeFileSync(join(out, name), text);
      const files = ["config.yaml", "env.template", ...Object.keys(plan.modules)];
      say(
        `${out} contains ${files.slice(0, -1).join(", ")} and ${files.at(-1)} for a ${profile} gateway, without secrets.`,
      );
      for (const [name, why] of Object.entries(plan.leftOut)) say(`- ${name} is left out: ${why}`);
      for (const note of plan.notes) say(`- ${note}`);
      return { profile, out, leftOut: plan.leftOut, notes: plan.notes };
    }),
  );

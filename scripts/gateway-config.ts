import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { planElsewhere } from "../configs/plan/elsewhere";
import { suggestion } from "../configs/problems";
import { profiles } from "../configs/profiles";
import { loadAssets } from "../runner/assets";
import { readModelLock } from "../runner/models/lockFile";
import { checkStackFile, namedSecrets } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { readResolved } from "../runner/resolved";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "gateway-config",
  does: "Writes config.yaml and env.template, which names secrets and holds none, for a LiteLLM gateway that runs elsewhere.",
  options: {
    profile: {
      type: "string",
      value: profiles.join("|"),
      help: "stateful: with a database, and Redis where the stack has it; stateless: with neither",
    },
    stack: stackOption,
    out: {
      type: "string",
      value: "DIR",
      help: "where the files go; default: .gpubox/gateway-config/<stack>-<profile>",
    },
  },
} as const;

verb(about, async ({ values }) => {
  const profile = profiles.find((one) => one === values.profile);
  if (!profile)
    throw new UserError(
      values.profile === undefined ? "No profile is given." : `There is no profile "${values.profile}".`,
      values.profile === undefined
        ? `Write --profile ${profiles.join(" or --profile ")}.`
        : suggestion(values.profile, [...profiles]),
    );
  const projectDir = defaultProjectDir;
  const { stack } = values;
  const plan = planElsewhere(
    {
      // The secrets are needed where that gateway runs, not here.
      config: checkStackFile(projectDir, stack, { secrets: namedSecrets(projectDir, stack) }),
      lock: readModelLock(projectDir),
      resolved: readResolved(projectDir, stack),
      assets: loadAssets(projectDir),
    },
    profile,
  );
  const out = resolve(values.out ?? join(projectDir, ".gpubox", "gateway-config", `${stack}-${profile}`));
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, "config.yaml"), plan.config);
  writeFileSync(join(out, "env.template"), plan.env);
  say(`${out} holds config.yaml and env.template for a ${profile} gateway; there are no secrets in them.`);
  for (const [name, why] of Object.entries(plan.leftOut)) say(`- ${name} is left out: ${why}`);
  for (const note of plan.notes) say(`- ${note}`);
  return { profile, out, leftOut: plan.leftOut, notes: plan.notes };
});

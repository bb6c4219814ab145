import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { planElsewhere } from "../configs/plan/elsewhere";
import { suggestion } from "../configs/problems";
import { profiles } from "../configs/profiles";
import { loadAssets } from "../runner/assets";
import { readModelLock } from "../runner/models/lockFile";
import { checkStackFile, namedSecrets } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { readResolved } from "../runner/resolved";
import { say, verb } from "./verb";

const HELP = `npm run gateway-config -- --profile stateless|stateful [--stack NAME] [--out DIR]

Writes config.yaml and env.template for a LiteLLM gateway that runs elsewhere, from the same stack config as the box.
  --profile   stateful: with a database, and Redis where the stack has it; stateless: with neither
  --stack     default: dev
  --out       default: .gpubox/gateway-config/<stack>-<profile>
The template names what the environment must hold and has no secret in it.`;

verb(async () => {
  const { values } = parseArgs({
    options: {
      profile: { type: "string" },
      stack: { type: "string", default: "dev" },
      out: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return say(HELP);
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
});

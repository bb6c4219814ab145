import { statusTable } from "../configs/modelStatus";
import type { Locked } from "../configs/models/facts";
import { HUB_TOKEN } from "../configs/plan/weights";
import { statusOfModels } from "../runner/modelStatus";
import { readModelLock } from "../runner/models/lockFile";
import { lockModels, type ModelChange } from "../runner/models/lockModels";
import { hubOfStack, sourcesOfStack } from "../runner/models/stackSources";
import { planStack, readStack } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { readResolved } from "../runner/resolved";
import { encryptedNames, findSecretStore, readSecrets } from "../runner/secrets";
import { say, stackOption, verb } from "./verb";

/** The hub is HF_ENDPOINT of the environment, else the stack's. */
const about = {
  name: "models",
  does: "status: each declared model as it is now. list: what is locked. lock: resolves revision, files, sizes and shape of the stack's models, or of the sources given.",
  words: "status|list|lock [SOURCE …]",
  options: {
    stack: stackOption,
    token: {
      type: "string",
      value: "SECRET",
      help: `lock: the stack's secret that holds the hub's token; default: HF_TOKEN of the environment, else ${HUB_TOKEN}`,
    },
  },
} as const;

verb(about, async ({ values, positionals }) => {
  const [command, ...sources] = positionals;
  const { stack } = values;
  if (command === "list") return list();
  if (command === "status") return status(stack);
  if (command !== "lock")
    throw new UserError(
      `\`npm run models\` does not know "${command ?? ""}".`,
      "Use status, list or lock, for example `npm run models lock -- --stack box`.",
    );
  const wanted = sources.length > 0 ? sources : sourcesOfStack(defaultProjectDir, stack);
  if (wanted.length === 0) say(`Pulumi.${stack}.yaml names no model of a hub or a file of the host.`);
  const endpoint = process.env.HF_ENDPOINT || hubOfStack(defaultProjectDir, stack);
  const changes = await lockModels(defaultProjectDir, wanted, {
    endpoint,
    token: await tokenOf(stack, values.token),
  });
  for (const change of changes) say(lineOf(change));
  if (changes.some(({ failure }) => failure)) process.exitCode = 1;
  return changes;
});

async function status(stack: string) {
  const secrets = await readSecrets(await findSecretStore(defaultProjectDir, stack));
  const config = readStack(defaultProjectDir, stack, secrets);
  const box = planStack(defaultProjectDir, stack, secrets, readResolved(defaultProjectDir, stack));
  const all = await statusOfModels(box, config, secrets);
  say(all.length > 0 ? statusTable(all) : `Pulumi.${stack}.yaml declares no model.`);
  return all;
}

async function tokenOf(stack: string, chosen: string | undefined): Promise<string | undefined> {
  if (!chosen && process.env.HF_TOKEN) return process.env.HF_TOKEN;
  if (!chosen && !encryptedNames(defaultProjectDir, stack).includes(HUB_TOKEN)) return undefined;
  const name = chosen ?? HUB_TOKEN;
  const token = (await readSecrets(await findSecretStore(defaultProjectDir, stack)))[name];
  if (token) return token;
  throw new UserError(
    `The stack ${stack} has no secret ${name}.`,
    `Set it: \`pulumi config set --secret gpubox:${name} --stack ${stack}\`.`,
  );
}

function list() {
  const lock = readModelLock(defaultProjectDir);
  const entries = Object.entries(lock);
  if (entries.length === 0) say("No model is locked. Run `npm run models lock`.");
  for (const [source, model] of entries)
    say(`${source}: ${"unresolved" in model ? `not resolved: ${model.unresolved}` : summary(model)}`);
  return lock;
}

function lineOf({ source, before, after, failure }: ModelChange): string {
  if (failure) return `${source}: not resolved${before ? ", keeps what it had" : ""}: ${failure}`;
  if (before === after) return `${source}: unchanged`;
  return `${source}: ${before ? summary(before) : "new"} → ${after ? summary(after) : "none"}`;
}

function summary(locked: Locked): string {
  const gibibytes = (locked.files.reduce((sum, file) => sum + file.bytes, 0) / 2 ** 30).toFixed(1);
  const revision = locked.revision ? `${locked.revision.slice(0, 12)}, ` : "";
  if ("holds" in locked) return `${revision}${locked.holds}, ${gibibytes} GiB`;
  const { shape, quantization } = locked;
  return `${revision}${shape.architecture} ${quantization}, ${gibibytes} GiB, ${shape.contextLength} tokens`;
}

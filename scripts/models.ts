import { parseArgs } from "node:util";
import type { Locked } from "../configs/models/facts";
import { HUB_TOKEN } from "../configs/plan/weights";
import { readModelLock } from "../runner/models/lockFile";
import { lockModels, type ModelChange } from "../runner/models/lockModels";
import { hubOfStack, sourcesOfStack } from "../runner/models/stackSources";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { encryptedNames, findSecretStore, readSecrets } from "../runner/secrets";
import { say, verb } from "./verb";

/**
 * `npm run models lock [-- --stack NAME | SOURCE…] [--token SECRET]`: resolves revision, files, sizes and shape of the models
 * that a stack names, or of the sources given, and prints old → new. `--token` is the name of a secret of the stack; without
 * it the hub's token is HF_TOKEN of the environment, else the secret that downloads use. The hub is HF_ENDPOINT of the
 * environment, else the stack's. `npm run models list` shows what is locked.
 */
verb(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { stack: { type: "string" }, token: { type: "string" } },
  });
  const [command, ...sources] = positionals;
  const stack = values.stack ?? "dev";
  if (command === "list") return list();
  if (command !== "lock")
    throw new UserError(
      `\`npm run models\` does not know "${command ?? ""}".`,
      "Use lock or list, for example `npm run models lock -- --stack box`.",
    );
  const wanted = sources.length > 0 ? sources : sourcesOfStack(defaultProjectDir, stack);
  if (wanted.length === 0) return say(`Pulumi.${stack}.yaml names no model of a hub or a file of the host.`);
  const endpoint = process.env.HF_ENDPOINT || hubOfStack(defaultProjectDir, stack);
  const changes = await lockModels(defaultProjectDir, wanted, {
    endpoint,
    token: await tokenOf(stack, values.token),
  });
  for (const change of changes) say(lineOf(change));
  if (changes.some(({ failure }) => failure)) process.exitCode = 1;
});

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

function list(): void {
  const entries = Object.entries(readModelLock(defaultProjectDir));
  if (entries.length === 0) say("No model is locked. Run `npm run models lock`.");
  for (const [source, model] of entries)
    say(`${source}: ${"unresolved" in model ? `not resolved: ${model.unresolved}` : summary(model)}`);
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

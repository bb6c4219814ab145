import { local } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import { hashOf } from "../configs/kit/text";
import type { BoxPlan } from "../configs/kit/types";
import { MODEL_LOCK_FILE } from "../configs/models/lock";
import { type DeployedBox, deployedBox } from "../configs/plan/changeNotices";
import type { BoxFiles } from "../configs/remotes/files";

/** Number of records per stack to keep. `gpubox rollback` uses the last but one. */
const KEPT = 10;

/**
 * Copies a generation's inputs next to the project, including the locks of images and models, the files that models
 * name, and the files of other boxes. Secrets in the configs stay encrypted. Standard input says what runs now, which the next preview compares
 * with.
 */
export const RECORD = `set -e
umask 077
# Pulumi starts steps in the folder of the program, which may lie below the project's.
root=$PWD
until [ -e "$root/Pulumi.yaml" ] || [ -z "$root" ]; do root=\${root%/*}; done
cd "\${root:-.}"
cat > ".gpubox/deployed.$GPUBOX_STACK.json.new"
mv -f ".gpubox/deployed.$GPUBOX_STACK.json.new" ".gpubox/deployed.$GPUBOX_STACK.json"
dir=.gpubox/history/$GPUBOX_STACK
mkdir -p "$dir/$GPUBOX_GENERATION"
cp "Pulumi.$GPUBOX_STACK.yaml" "$dir/$GPUBOX_GENERATION/stack.yaml"
[ ! -f ".gpubox/resolved.$GPUBOX_STACK.json" ] || cp ".gpubox/resolved.$GPUBOX_STACK.json" "$dir/$GPUBOX_GENERATION/resolved.json"
rm -f "$dir/$GPUBOX_GENERATION/${MODEL_LOCK_FILE}"
rm -f "$dir/$GPUBOX_GENERATION"/Pulumi.*.yaml
for box in $GPUBOX_BOXES; do cp "Pulumi.$box.yaml" "$dir/$GPUBOX_GENERATION/"; done
rm -rf "$dir/$GPUBOX_GENERATION/files"
for file in $GPUBOX_FILES; do
  mkdir -p "$dir/$GPUBOX_GENERATION/files/\${file%/*}"
  cp "$file" "$dir/$GPUBOX_GENERATION/files/$file"
done
[ ! -f ${MODEL_LOCK_FILE} ] || cp ${MODEL_LOCK_FILE} "$dir/$GPUBOX_GENERATION/"
touch "$dir/$GPUBOX_GENERATION"
cd "$dir"
ls -t | tail -n +${KEPT + 1} | while read -r old; do rm -rf "./$old"; done`;

/**
 * Records the config of a generation once it serves.
 *
 * @param box what has to be done before
 * @param made the config, the files beside it that models name, and the configs of other boxes, as in their files: a change
 * is recorded even when no container notices it; and on a cluster what the box lacks there
 */
export function recordGeneration(
  plan: BoxPlan,
  box: pulumi.Resource,
  {
    values,
    boxes = {},
    ownFiles = {},
    losses,
  }: {
    values: Record<string, unknown>;
    boxes?: BoxFiles;
    ownFiles?: Record<string, string>;
    losses?: string[];
  },
): local.Command {
  const { stack, gateway } = plan;
  const others = Object.keys(boxes).sort();
  const files = Object.keys(ownFiles).sort();
  const left: DeployedBox = { ...deployedBox(plan), ...(losses ? { losses } : {}) };
  const deployed = JSON.stringify(left);
  return new local.Command(
    "record",
    {
      create: RECORD,
      stdin: deployed,
      environment: {
        GPUBOX_STACK: stack,
        GPUBOX_GENERATION: gateway.generation,
        ...(others.length > 0 ? { GPUBOX_BOXES: others.join(" ") } : {}),
        ...(files.length > 0 ? { GPUBOX_FILES: files.join(" ") } : {}),
      },
      triggers: [
        gateway.generation,
        deployed,
        hashOf(others.length > 0 ? { values, boxes } : values),
        ...(files.length > 0 ? [hashOf(ownFiles)] : []),
      ],
      logging: local.Logging.None,
      addPreviousOutputInEnv: false,
    },
    { dependsOn: [box] },
  );
}

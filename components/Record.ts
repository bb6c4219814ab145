import { local } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";

/** Records of one stack that are kept; `npm run rollback` uses the last but one. */
const KEPT = 10;

/** Copies what a generation was made from, beside the project. The config's secrets are encrypted in it. */
const RECORD = `set -e
dir=.gpubox/history/$GPUBOX_STACK
mkdir -p "$dir/$GPUBOX_GENERATION"
cp "Pulumi.$GPUBOX_STACK.yaml" "$dir/$GPUBOX_GENERATION/stack.yaml"
[ ! -f ".gpubox/resolved.$GPUBOX_STACK.json" ] || cp ".gpubox/resolved.$GPUBOX_STACK.json" "$dir/$GPUBOX_GENERATION/resolved.json"
touch "$dir/$GPUBOX_GENERATION"
cd "$dir"
ls -t | tail -n +${KEPT + 1} | while read -r old; do rm -rf "./$old"; done`;

/** Remembers the config of a generation once it serves. `box` is what has to be done before that is so. */
export function recordGeneration(stack: string, generation: string, box: pulumi.Resource): local.Command {
  return new local.Command(
    "record",
    {
      create: RECORD,
      environment: { GPUBOX_STACK: stack, GPUBOX_GENERATION: generation },
      triggers: [generation],
      logging: local.Logging.None,
      addPreviousOutputInEnv: false,
    },
    { dependsOn: [box] },
  );
}

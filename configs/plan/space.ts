import { INPUT_END, rootReader } from "../kit/hostFiles";
import { fetchSteps, servicesOf } from "../kit/services";
import { hashOf } from "../kit/text";
import type { BoxPlan, SpacePlan } from "../kit/types";

/** MiB that have to be free beside what is downloaded: for files, container layers and logs. */
export const SPACE_MIB = 256;

/** The file system's own part of a download, in percent; `assets/weights/fetch.py` adds the same. */
const MARGIN_PERCENT = 5;

/**
 * Looks at the data directory's file system and at that of Docker's own directory, which a container's root shows, and writes
 * there: a quota and a file system that has become read-only have space too. Standard input: a line for each file of a model
 * that the lock knows, its bytes and its path.
 */
const CHECK = `set -u
dir=$1 floor=$2 margin=$3
refuse() {
  echo "$1; nothing was stopped. Make room there (gpubox gc lists model files that no stack uses, docker system df shows what Docker holds) and run the same command again." >&2
  exit 1
}
mib() { echo "$(($1 / 1048576)) MiB"; }
need=0
while read -r bytes path; do
  [ "$(stat -c %s "$path" 2>/dev/null)" = "$bytes" ] && continue
  part=$(stat -c %s "$path.part" 2>/dev/null || echo 0)
  [ "$part" -lt "$bytes" ] && need=$((need + bytes - part))
done
need=$((need + need / 100 * margin + floor))
look() {
  set -- "$1" "$2" $(stat -f -c '%a %S %d %c' "$3")
  [ "$(($3 * $4))" -ge "$2" ] || refuse "The disk of $1 has $(mib $(($3 * $4))) free, and $(mib "$2") are needed"
  [ "$6" = 0 ] || [ "$5" -ge 1000 ] || refuse "The file system of $1 has room for $5 more files only"
}
look "$dir" "$need" "$dir"
look "Docker's directory" "$floor" /
trap 'rm -f "$dir/.gpubox-space"' EXIT
( umask 077 && head -c 1048576 /dev/zero > "$dir/.gpubox-space" ) 2>/dev/null || refuse "Nothing can be written to $dir"`;

/**
 * The step that sees whether there is space for all that a plan writes, before anything of the box is stopped. It runs again
 * whenever a container, its files or a model is another.
 */
export function planSpace(plan: Omit<BoxPlan, "policy" | "space">): SpacePlan {
  const services = servicesOf(plan);
  const files = fetchSteps(plan).flatMap(({ fetches = [] }) => fetches);
  const sizes = new Map(files.map(({ path, bytes }) => [path, bytes]));
  return {
    name: "space",
    script: rootReader(plan.edge.container.image, plan.dataDir, CHECK, [
      plan.dataDir,
      String(SPACE_MIB * 1024 ** 2),
      String(MARGIN_PERCENT),
    ]),
    stdin: [[...sizes].map(([path, bytes]) => `${bytes} ${path}\n`).join("") + INPUT_END],
    before: hashOf(
      services.map(({ container, directory }) => [container.labels["gpubox.spec"], directory.hash]),
    ),
  };
}

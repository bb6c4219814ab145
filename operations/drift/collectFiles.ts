import { rootScript } from "../../configs/kit/hostFiles";
import type { BoxPlan } from "../../configs/kit/types";
import { dockerAt } from "../../platform/docker/client";
import type { HostDirectory, HostEntry } from "./facts";

/**
 * Prints the rights of each directory and, for directories to read, those of each entry with the hashes of files.
 * Arguments come in pairs of `read` or `look` and a directory. Names come last, because they may contain anything but a
 * line break.
 */
const LIST = `for one in "$@"; do
  how=\${one%%:*} dir=\${one#*:}
  [ -d "$dir" ] || continue
  stat -c "dir - %a %u %g %n" "$dir"
  [ "$how" = read ] || continue
  for file in "$dir"/* "$dir"/.[!.]*; do
    if [ -L "$file" ]; then type=link sum=-
    elif [ -f "$file" ]; then type=file sum=$(sha256sum < "$file"); sum=\${sum%% *}
    elif [ -d "$file" ]; then type=directory sum=-
    elif [ -e "$file" ]; then type=other sum=-
    else continue; fi
    stat -c "$type $sum %a %u %g %n" "$file"
  done
done`;

/**
 * Reads the box's directories on the host through its engine.
 *
 * @param planned directories whose files belong to the box
 * @param writable directories that containers write to: only the directory itself matters
 */
export async function hostDirectories(
  box: BoxPlan,
  planned: string[],
  writable: string[],
): Promise<Record<string, HostDirectory>> {
  const words = [
    ...new Set([...planned.map((path) => `read:${path}`), ...writable.map((path) => `look:${path}`)]),
  ];
  const script = rootScript(box.edge.container.image, box.dataDir, LIST, words);
  return parseList(await dockerAt(box.docker).scriptOutput(script));
}

const LINE = /^(dir|file|directory|link|other) (\S+) (\d+) (\d+) (\d+) (.+)$/;

/** Parses the host's list into directories and their entries. */
export function parseList(text: string): Record<string, HostDirectory> {
  const directories: Record<string, HostDirectory> = {};
  for (const line of text.split("\n")) {
    const [, type, sum, mode, uid, gid, path] = LINE.exec(line) ?? [];
    if (!type || !mode || !path) continue;
    const rights = { mode, uid: Number(uid), gid: Number(gid) };
    if (type === "dir") {
      directories[path] = { ...rights, entries: directories[path]?.entries ?? {} };
      continue;
    }
    const cut = path.lastIndexOf("/");
    const owner = directories[path.slice(0, cut)];
    if (owner)
      owner.entries[path.slice(cut + 1)] = {
        type: type as HostEntry["type"],
        ...rights,
        ...(sum === "-" ? {} : { sha256: sum }),
      };
  }
  return directories;
}

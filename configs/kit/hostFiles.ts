import type { WritableDirectoryPlan } from "./containerPlan";
import { STEP_LIMIT } from "./processes";
import type { DirectoryPlan } from "./text";
import { renderText, type SecretValues, shellQuote } from "./text";

/** Ends what {@link rootReader} reads. */
export const INPUT_END = ".\n";

/**
 * Shell command that runs a script as root on the host, with one host directory mounted. It needs only the Docker engine, no
 * sudo and no other access. `words` become "$1", "$2", …
 */
export function rootScript(image: string, directory: string, script: string, words: string[] = []): string {
  return asRoot("", image, directory, script, words);
}

/**
 * A {@link rootScript} that reads lines of standard input, up to {@link INPUT_END}. The end itself tells nothing: Docker 20.10 can
 * lose it where it comes before the container runs, and the script would wait for ever.
 */
export function rootReader(image: string, directory: string, script: string, words: string[] = []): string {
  return asRoot(" -i", image, directory, `sed -n '/^\\.$/q;p' | {\n${script}\n}`, words);
}

function asRoot(flags: string, image: string, directory: string, script: string, words: string[]): string {
  const quoted = [script, "gpubox", ...words].map(shellQuote).join(" ");
  return `docker run --rm${flags} --network none --user 0 ${STEP_LIMIT} --entrypoint sh -v ${directory}:${directory} ${image} -c ${quoted}`;
}

/** Shell command that prints `yes` where a path below a host directory exists, and nothing elsewhere. */
export function existsScript(image: string, directory: string, path: string): string {
  return rootScript(image, directory, '[ ! -e "$1" ] || echo yes', [path]);
}

/**
 * Writes all files or none: it writes them under temporary names and then renames them, so that a full disk leaves the old
 * files intact. It removes files that are not listed.
 */
const WRITE = `set -eu
umask 077
dir=$1 gid=$2
install -d -m 0750 -o 0 -g "$gid" "$dir"
trap 'rm -f "$dir"/.*.new' EXIT
keep=" "
while read -r name mode data; do
  printf %s "$data" | base64 -d > "$dir/.$name.new"
  chown "0:$gid" "$dir/.$name.new"
  chmod "$mode" "$dir/.$name.new"
  keep="$keep$name "
done
for name in $keep; do mv -f "$dir/.$name.new" "$dir/$name"; done
for file in "$dir"/*; do
  [ -f "$file" ] || continue
  case "$keep" in *" \${file##*/} "*) ;; *) rm -f "$file" ;; esac
done`;

/** Shell command that brings a directory's files to the host; it expects `directoryInput` on standard input. */
export function writeDirectory(image: string, dataDir: string, directory: DirectoryPlan): string {
  return rootReader(image, dataDir, WRITE, [directory.path, String(directory.gid)]);
}

/** The files of a directory as `writeDirectory` reads them: a line each of name, mode and base64. Holds secrets. */
export function directoryInput(directory: DirectoryPlan, values: SecretValues): string {
  const lines = Object.entries(directory.files).map(([name, file]) => {
    const data = Buffer.from(renderText(file.text, values)).toString("base64");
    return `${name} ${file.mode} ${data}\n`;
  });
  return lines.join("") + INPUT_END;
}

/** Shell command that removes a directory's files, unless a container still mounts it. */
export function removeDirectory(image: string, dataDir: string, path: string): string {
  const users = `docker ps -aq --filter volume=${path}`;
  return `[ -n "$(${users})" ] || ${rootScript(image, dataDir, 'rm -rf "$1"', [path])}`;
}

/** Shell command that makes a directory which a container writes to. It is never emptied. */
export function makeWritable(image: string, dataDir: string, directory: WritableDirectoryPlan): string {
  const mode = directory.sharesGroup ? "2750" : "0750";
  const script = `install -d -m ${mode} -o "$2" -g "$3" "$1"`;
  return rootScript(image, dataDir, script, [directory.path, String(directory.uid), String(directory.gid)]);
}

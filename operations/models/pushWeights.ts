import { statSync } from "node:fs";
import { join } from "node:path";
import { parseSource } from "../../configs/engines/source";
import { rootScript } from "../../configs/kit/hostFiles";
import { STEP_LIMIT } from "../../configs/kit/processes";
import { gibibytes } from "../../configs/kit/sizes";
import type { LockedFile, LockedSource } from "../../configs/models/facts";
import { type WeightsOptions, weightsFolder, weightsStep } from "../../configs/models/weights";
import { sendFile, sumFile } from "../../platform/docker/archive";
import { dockerAt } from "../../platform/docker/client";
import { disks } from "../../platform/machine";
import { UserError } from "../../platform/process";
import { type Report, unreported } from "../../platform/progress";
import type { Log } from "../../platform/project";

export interface PushOptions
  extends Pick<WeightsOptions, "image" | "fetchScript" | "endpoint" | "modelsDir"> {
  /** Address of the host's engine. */
  docker: string;
  /** `hf://owner/name…`, as the stack's file names it. */
  source: string;
  /** What the lock says of it. */
  locked: LockedSource;
  /** Folder of this machine with the files by their paths in the repository. */
  from: string;
  log: Log;
  report?: Report;
}

/**
 * Carries a locked model's files to a host that does not reach the hub. They arrive as parts of a download, which is then
 * finished as always: the host compares every sha256 of the lock, and a file has its name only when it is whole. What was
 * cut is continued.
 *
 * @returns how many bytes were sent
 * @throws UserError when a file here or there is not the locked one, or the disk is too small
 */
export async function pushWeights(options: PushOptions): Promise<{ folder: string; bytes: number }> {
  const { docker, source, locked, from, modelsDir, log, report = unreported } = options;
  const parsed = parseSource(source);
  if (parsed.from === "host")
    throw new UserError(`${source} is a path of the host itself.`, "Copy it there: `rsync -e ssh`.");
  await checkHere(locked.files, from, report);
  const folder = weightsFolder(modelsDir, parsed.repo, locked.revision);
  const rest = await wanted(options, folder);
  const bytes = rest.reduce((sum, { file, start }) => sum + file.bytes - start, 0);
  const [disk] = await disks(docker, [modelsDir]);
  if (disk && disk.freeBytes < bytes)
    throw new UserError(
      `The files need ${gibibytes(bytes)}, and the host has ${gibibytes(disk.freeBytes)} free for ${modelsDir}.`,
      "Run `gpubox gc`, which lists weights that no stack uses.",
    );
  let sent = 0;
  for (const { file, start } of rest.filter((one) => one.start < one.file.bytes)) {
    const what = `sending ${parsed.repo}`;
    await sendFile(docker, receiver(options, `${folder}/${file.path}`, file, start), join(from, file.path), {
      start,
      onBytes: (done) => report({ what, done: sent + done, total: bytes, unit: "bytes", detail: file.path }),
    });
    sent += file.bytes - start;
    report({ what, ended: true });
  }
  const { revision, files } = locked;
  const step = weightsStep({ ...options, repo: parsed.repo, hasToken: false, wanted: { revision, files } });
  const finished = await dockerAt(docker).script(step.script, { stdin: step.stdin?.join("") });
  if (finished.code !== 0)
    throw new UserError(
      `The files of ${parsed.repo} did not arrive whole: ${finished.stderr.trim().split("\n").at(-1)}.`,
      "Run the command again: it sends what is missing.",
    );
  log(`${source}: ${files.length} files in ${folder}, ${gibibytes(bytes)} sent`);
  return { folder, bytes };
}

/** Compares the files of this machine with the lock, so that nothing is sent in vain. */
async function checkHere(files: LockedFile[], from: string, report: Report): Promise<void> {
  const fix = "Fetch it again where the hub answers, for example `hf download OWNER/NAME --local-dir DIR`.";
  for (const { path, bytes, sha256 } of files) {
    const file = join(from, path);
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size !== bytes)
      throw new UserError(
        `${file} ${size === undefined ? "does not exist" : `has ${size} bytes`}, and the lock says ${bytes} bytes.`,
        fix,
      );
    if (!sha256) continue;
    const what = `checking ${path}`;
    const found = await sumFile(file, (done) => report({ what, done, total: bytes, unit: "bytes" }));
    report({ what, ended: true });
    if (found.sha256 !== sha256)
      throw new UserError(`${file} has the sha256 ${found.sha256}, and the lock says ${sha256}.`, fix);
  }
}

const SIZES = `folder=$1; shift
for path; do
  whole=$(stat -c %s "$folder/$path" 2>/dev/null) || whole=-
  part=$(stat -c %s "$folder/$path.part" 2>/dev/null) || part=0
  echo "$whole $part"
done`;

/** The files that the host does not have whole, and from which byte each is to be sent. */
async function wanted({ docker, image, modelsDir, locked }: PushOptions, folder: string) {
  const { files } = locked;
  const script = rootScript(image, modelsDir, SIZES, [folder, ...files.map(({ path }) => path)]);
  const lines = (await dockerAt(docker).scriptOutput(script)).split("\n");
  return files.flatMap((file, index) => {
    const [whole, part] = (lines[index] ?? "").split(" ").map(Number);
    if (whole === file.bytes) return [];
    return [{ file, start: part !== undefined && part <= file.bytes ? part : 0 }];
  });
}

/** It counts what it takes, because Docker 20.10 can lose the end of an input. */
const RECEIVE = `mkdir -p "$(dirname "$1")" && { [ "$2" != 0 ] || true >"$1.part"; } && head -c "$3" >>"$1.part"`;

function receiver(
  { image, modelsDir }: PushOptions,
  path: string,
  { bytes }: LockedFile,
  start: number,
): string[] {
  return [
    ...["run", "--rm", "-i", "--network", "none", "--user", "0", ...STEP_LIMIT.split(" ")],
    ...["--entrypoint", "sh", "-v", `${modelsDir}:${modelsDir}`, image],
    ...["-c", RECEIVE, "gpubox", path, String(start), String(bytes - start)],
  ];
}

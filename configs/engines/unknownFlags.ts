import type { ImageName } from "../kit/imageRoles";
import { nearest, type Problem } from "../kit/problems";
import type { HostConfig } from "../schema/host";
import type { OwnContainer } from "../schema/ownContainer";
import type { CommandLine } from "./engine";
import { engineOf, type ModelConfig } from "./index";
import { givenFlags, isFlag, knowing } from "./spelling";

/** A word of `extraArgs` that is a flag of no name that gpubox knows of its engine. */
interface UnknownFlag {
  index: number;
  flag: string;
  /** The flag that it most likely means. */
  near?: string;
}

/** The flags of `extraArgs` that the release with the known flags has not; none where no list of them was made. */
function unknownFlags({ options, parser }: CommandLine, model: ModelConfig): UnknownFlag[] {
  const extraArgs = "extraArgs" in model ? model.extraArgs : [];
  if (!parser.flags) return [];
  const all = knowing(
    parser,
    Object.values(options).flatMap(({ names }) => names),
  );
  const names = (all.flags ?? []).flatMap((flag) => [...flag.names, ...(flag.negatives ?? [])]);
  return extraArgs.flatMap((word, index) => {
    if (!isFlag(word) || isValue(word) || givenFlags([word], all).length > 0) return [];
    const flag = word.split("=")[0]!;
    return [{ index, flag, near: nearest(flag, names) }];
  });
}

/** A word that begins with a dash and is a value all the same: a lone dash, a text with spaces. */
function isValue(word: string): boolean {
  return word === "-" || !/^--?[A-Za-z]/.test(word) || /\s/.test(word.split("=")[0]!);
}

/** Images that are pinned to the release whose flags gpubox knows. Those of other roles may be of another one. */
const OF_THE_RELEASE: readonly ImageName[] = ["vllm", "vllm-cpu", "vllm-rocm", "sglang"];

/** Refuses flags that the engine's server would end on. Of an image that may know them a note tells instead. */
export function checkUnknownFlags(
  model: ModelConfig & OwnContainer,
  path: string,
  host: HostConfig,
): Problem[] {
  const { commandLine, release, images } = engineOf(model);
  if (!commandLine || !isOfRelease(model, images?.(model, host)[0])) return [];
  // vLLM reads -O3 and its like before argparse does.
  const ended = unknownFlags(commandLine, model).filter(({ flag }) => !flag.startsWith("-O"));
  return ended.map(({ index, flag, near }) => ({
    path: `${path}.extraArgs[${index}]`,
    what: `${model.engine} ${release} has no flag ${flag}, and its server would end at its start.`,
    fix: `${near ? `Did you mean ${near}? Or` : "Leave it out, or"} name an image that has it: image: { repository, tag }.`,
  }));
}

/** Notes of flags that nobody has checked, because the image is of another release. */
export function unknownFlagNotes(
  name: string,
  model: ModelConfig & OwnContainer,
  host: HostConfig,
): string[] {
  const { commandLine, images } = engineOf(model);
  if (!commandLine || isOfRelease(model, images?.(model, host)[0])) return [];
  const found = unknownFlags(commandLine, model).map(({ flag, near }) =>
    near ? `${flag} (near: ${near})` : flag,
  );
  if (found.length === 0) return [];
  return [
    `${name}: gpubox does not know ${found.join(", ")} of ${model.engine}. The server ends at its start if its image does not either.`,
  ];
}

/** True where the image is pinned to the release whose flags gpubox knows. */
export function isOfRelease(model: OwnContainer, role: ImageName | undefined): boolean {
  return !model.image && role !== undefined && OF_THE_RELEASE.includes(role);
}

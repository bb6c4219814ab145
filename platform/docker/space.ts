import type { Failure } from "../../configs/kit/problems";

/** What to do where a program of Docker's says that a disk is full; undefined for other words. */
export function spaceFailure(words: string, name: string): Failure | undefined {
  const said = words
    .split("\n")
    .find((line) => /no space left on device|disk quota exceeded|not enough free space/i.test(line));
  if (said === undefined) return undefined;
  return {
    what: `A disk of ${name} is full: ${said.trim().replace(/[.\s]+$/, "")}.`,
    fix: "Run `gpubox gc --yes`, look at `df -h`, `df -i` and `docker system df` there, and run the command again: what is there stays.",
  };
}

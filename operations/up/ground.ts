import type { Failure } from "../../configs/kit/problems";
import type { BoxPlan } from "../../configs/kit/types";
import { dockerHostName } from "../../configs/network/engine";
import type { StackConfig } from "../../configs/stack/config";
import { dockerAt } from "../../platform/docker/client";
import type { DockerEngine } from "../../platform/docker/engine";
import { spaceFailure } from "../../platform/docker/space";
import { UserError } from "../../platform/process";
import { computesByKfd } from "../host/deviceFiles";
import { readGround } from "../host/ground";
import { unfitHost, wrongClock } from "../host/unfit";

/**
 * Refuses a host on which a box cannot stand, before anything is downloaded or changed.
 *
 * @param engine what the engine said through the connection: the host itself may have no Docker CLI
 * @throws UserError with the first reason, and what to do
 */
export async function checkGround(config: StackConfig, engine: DockerEngine): Promise<void> {
  const name = dockerHostName(config.host.docker);
  const ground = { ...(await readGround(config)), engine };
  const place = { name, host: config.host, computesByKfd: computesByKfd(config) };
  const first = unfitHost(ground, place)[0] ?? wrongClock(ground, name);
  if (first) throw new UserError(first.what, first.fix);
}

/**
 * Writes on the host whose its data directory is, as the first container that reaches it.
 *
 * @throws UserError that says why a container may not write there
 */
export async function claimPlace({ owner, docker }: BoxPlan, { host }: StackConfig): Promise<void> {
  if (!owner) return;
  const done = await dockerAt(docker).script(owner.script);
  if (done.code === 0) return;
  const words = done.stderr.trim().split("\n").slice(-3).join(" ") || `exit code ${done.code}`;
  const { what, fix } = unwritable(words, host.dataDir, dockerHostName(host.docker));
  throw new UserError(what, fix);
}

/** Why a container could not write into a host's data directory, from the last words of `docker run`. */
export function unwritable(words: string, dataDir: string, name: string): Failure {
  const full = spaceFailure(words, name);
  if (full) return full;
  if (/apparmor/i.test(words) && /could not be loaded|apparmor_parser|apply apparmor profile/i.test(words))
    return {
      what: `AppArmor on ${name} keeps Docker from starting containers: ${words}.`,
      fix: "Run there `sudo apt-get install apparmor && sudo systemctl restart apparmor docker`, and the command again.",
    };
  if (/read-only file system/i.test(words))
    return {
      what: `${dataDir} on ${name} is read-only for containers: ${words}.`,
      fix: "Mount its file system for writing there, or write another gpubox:host.dataDir.",
    };
  if (/permission denied|operation not permitted/i.test(words))
    return {
      what: `A container of root's may not write to ${dataDir} on ${name}: ${words}.`,
      fix: "SELinux, AppArmor or a network file system denies it: look at `sudo dmesg | grep -i -e denied` there, allow it or write another gpubox:host.dataDir.",
    };
  return {
    what: `A container could not write to ${dataDir} on ${name}: ${words}.`,
    fix: `Make a container there write a file below ${dataDir} first.`,
  };
}

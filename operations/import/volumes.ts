import { homedir } from "node:os";
import { isAbsolute, resolve } from "node:path";
import { z } from "zod";
import type { Entry } from "./draft";
import type { Input } from "./input";
import { type Bind, hostPath, isInCache } from "./services";

/** A directory of the host in a container. */
export interface Volume extends Bind {
  readOnly: boolean;
}

/** @param folder which relative paths start from */
export function volumesOf(volumes: Input | undefined, folder: string): Volume[] {
  return (volumes?.children() ?? []).flatMap((volume) => volumeOf(volume, folder) ?? []);
}

/** The volume that brings a path of the container. */
export function volumeWith(inside: string, volumes: Input | undefined, folder: string): Input | undefined {
  return volumes?.children().find((volume) => {
    const found = volumeOf(volume, folder);
    return found !== undefined && hostPath(inside, [found]) !== undefined;
  });
}

/** A directory of the host; undefined for a volume that Docker keeps. */
function volumeOf(volume: Input, folder: string): Volume | undefined {
  const text = volume.read(z.string());
  const [source, inside, mode = ""] = text
    ? text.split(":")
    : [textAt(volume, "source"), textAt(volume, "target")];
  if (!source || !inside || !/^[./~]/.test(source)) return undefined;
  const home = source.replace(/^~(?=\/|$)/, homedir());
  const readOnly = mode.split(",").includes("ro") || volume.at("read_only")?.value === true;
  return { host: isAbsolute(home) ? home : resolve(folder, home), inside, readOnly };
}

/**
 * Says what becomes of a server's volumes: weights and caches are known otherwise, what else it only reads stays a mount.
 *
 * @param to the entry's path in the stack config
 * @param words of the server's command
 * @returns directories that are a hub's cache
 */
export function readVolumes(
  volumes: Input | undefined,
  { folder, words }: { folder: string; words: string[] },
  entry: Entry,
  to: string,
): string[] {
  const inCache = words.filter(isInCache);
  const mounts: object[] = [];
  const hubs: string[] = [];
  for (const input of volumes?.children() ?? []) {
    const volume = volumeOf(input, folder);
    if (!volume) input.lose("a volume of Docker's own; the box keeps caches of its own");
    else if (JSON.stringify(entry).includes(`file://${volume.host}`)) input.carry(`${to}.model`);
    else if (
      /huggingface|\/hub$/.test(volume.inside) ||
      inCache.some((path) => path.startsWith(`${volume.inside}/`))
    ) {
      hubs.push(volume.host);
      input.carry(`${to}.model`);
    } else if (volume.readOnly) {
      input.carry(`${to}.mounts[${mounts.length}]`);
      mounts.push({ source: volume.host, target: volume.inside });
    } else input.lose("the engine has caches of its own; name it in `mounts` where the model needs it");
  }
  if (mounts.length > 0) entry.mounts = mounts;
  return hubs;
}

function textAt(input: Input, key: string): string | undefined {
  return input.at(key)?.read(z.string());
}

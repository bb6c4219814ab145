import { mkdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { scratch } from "./allocate";

/** More than a server writes within a moment: two files of Postgres' log. */
const ROOM_BYTES = 2 * 16 * 2 ** 20;

/** A file system of its own that a test can fill. */
export interface SmallDisk {
  /** Where it is mounted. */
  path: string;
  /** Leaves `bytes` free. */
  fill(bytes: number): Promise<void>;
  /** Frees what {@link fill} took. */
  free(): void;
  remove(): Promise<void>;
}

/** Makes one of `size`, in truncate's words. A file with holes holds it, so that it takes hardly any space here. */
export async function smallDisk(name: string, size: string): Promise<SmallDisk> {
  const folder = scratch(name, "/var/tmp");
  const [file, path] = [join(folder, "disk"), join(folder, "data")];
  const ballast = join(path, "ballast");
  mkdirSync(path);
  await output("truncate", ["-s", size, file]);
  await output("mkfs.ext4", ["-q", "-m", "0", file]);
  await output("mount", ["-o", "loop", file, path]);
  return {
    path,
    async fill(bytes) {
      const { bavail, bsize } = statfsSync(path);
      // What runs there takes some meanwhile: the last bytes are written until no more fit.
      const left = bytes > 0 ? bytes : ROOM_BYTES;
      await output("fallocate", ["-l", String(Math.max(1, bavail * bsize - left)), ballast]);
      if (bytes === 0) await run("sh", ["-c", 'cat /dev/zero >>"$0"', ballast]);
    },
    free: () => rmSync(ballast, { force: true }),
    async remove() {
      await run("umount", [path]);
      rmSync(folder, { recursive: true });
    },
  };
}

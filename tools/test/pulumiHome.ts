import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Makes a home for Pulumi that has the plugins of the user's own, and in which it keeps no log: Pulumi logs every command there with all
 * properties, compressed and encrypted, which is half of its CPU in an `up`, and nothing but a file in the folder's place turns it off.
 * Which stack is selected stays apart from the user's own as well.
 *
 * @param folder of the run
 * @returns the value of `PULUMI_HOME`
 */
export function pulumiHome(folder: string): string {
  const own = process.env.PULUMI_HOME ?? join(homedir(), ".pulumi");
  const home = join(folder, "pulumi");
  for (const path of [join(own, "plugins"), home]) mkdirSync(path, { recursive: true });
  symlinkSync(join(own, "plugins"), join(home, "plugins"));
  writeFileSync(join(home, "logs"), "");
  return home;
}

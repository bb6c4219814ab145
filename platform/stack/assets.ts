import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Assets } from "../../configs/plan/context";
import { packageDir } from "../project";

/**
 * One text under this package's `assets/`.
 *
 * @param name relative path
 */
export function asset(name: string): string {
  return readFileSync(join(packageDir, "assets", name), "utf8");
}

/**
 * The texts under `assets/`, by relative path.
 *
 * @param dir the folder that contains `assets/`. Default: this package's
 */
export function loadAssets(dir = packageDir): Assets {
  const root = join(dir, "assets");
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((file) => {
      const path = join(file.parentPath, file.name);
      return [relative(root, path), readFileSync(path, "utf8")];
    }),
  );
}

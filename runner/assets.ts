import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Assets } from "../configs/plan/context";

/** The texts under `assets/`, by path relative to it. */
export function loadAssets(projectDir: string): Assets {
  const root = join(projectDir, "assets");
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((file) => {
      const path = join(file.parentPath, file.name);
      return [relative(root, path), readFileSync(path, "utf8")];
    }),
  );
}

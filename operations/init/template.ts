/**
 * Names of files in the new project, by their name under templates/project. npm packs no file called .gitignore, and
 * git ignores a Pulumi.dev.yaml.
 */
export const TEMPLATE: Record<string, string> = {
  "Pulumi.yaml": "Pulumi.yaml",
  "index.ts": "index.ts",
  "Pulumi.dev.yaml": "stack.yaml",
  "models.lock.json": "models.lock.json",
  ".gitignore": "gitignore",
  ".github/workflows/preview.yml": "preview.yml",
  "README.md": "README.md",
};

/** Files that npm and git create, which a new project's folder may contain. */
const PRESENT = ["package.json", "package-lock.json", "node_modules", ".git"];

/** The files that prevent a project in a folder. */
export function inTheWay(entries: string[], packed: (name: string) => boolean): string[] {
  return entries.filter((name) => !PRESENT.includes(name) && !packed(name));
}

/** The new project's manifest: the existing one, plus gpubox and what runs TypeScript under Pulumi. */
export function manifestOf(present: Record<string, unknown>, dependencies: Record<string, string>) {
  const own = (present.dependencies ?? {}) as Record<string, string>;
  return { private: true, ...present, dependencies: { ...dependencies, ...own } };
}

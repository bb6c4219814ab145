/**
 * Name in the new project to name under templates/project. npm packs no file that is called .gitignore, and git ignores a
 * Pulumi.dev.yaml.
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

/** What a folder may hold in which a project is made: what npm and git put there before. */
const PRESENT = ["package.json", "package-lock.json", "node_modules", ".git"];

/** What keeps a project from being made in a folder. */
export function inTheWay(entries: string[], packed: (name: string) => boolean): string[] {
  return entries.filter((name) => !PRESENT.includes(name) && !packed(name));
}

/** The manifest of the new project: what is there, with gpubox and what runs TypeScript under Pulumi. */
export function manifestOf(present: Record<string, unknown>, dependencies: Record<string, string>) {
  const own = (present.dependencies ?? {}) as Record<string, string>;
  return { private: true, ...present, dependencies: { ...dependencies, ...own } };
}

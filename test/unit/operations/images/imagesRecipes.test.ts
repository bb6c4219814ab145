import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ImageRole } from "../../../../configs/kit/imageRoles";
import { aptMirrors } from "../../../../operations/images/aptMirrors";
import { buildRecipes } from "../../../../operations/images/buildRecipes";
import { packageDir } from "../../../../platform/project";
import { readLock } from "../../../../platform/stack/imageLock";
import { type Recipe, recipeReference, recipeRoles } from "../../../../platform/stack/recipes";

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-recipes-"));
});

afterEach(() => rmSync(dir, { recursive: true }));

describe("a recipe's name", () => {
  const copy = () => {
    cpSync(join(packageDir, "images"), join(dir, "images"), { recursive: true });
    return dir;
  };

  test("is gpubox/<role> and 12 hex digits, the same wherever the files lie", () => {
    for (const role of recipeRoles(packageDir)) {
      const reference = recipeReference(packageDir, role);
      expect(reference).toMatch(new RegExp(`^gpubox/${role}:[0-9a-f]{12}$`));
      expect(recipeReference(copy(), role)).toBe(reference);
    }
  });

  test("changes with a byte of its own files or of the base's, and with no other recipe's", () => {
    copy();
    const before = recipeReference(dir, "edge");
    writeFileSync(join(dir, "images", "cache", "Dockerfile"), "changed");
    expect(recipeReference(dir, "edge")).toBe(before);
    writeFileSync(join(dir, "images", "edge", "Dockerfile"), "changed");
    const own = recipeReference(dir, "edge");
    expect(own).not.toBe(before);
    writeFileSync(join(dir, "images", "base", "build.sh"), "changed");
    expect(recipeReference(dir, "edge")).not.toBe(own);
  });

  test("changes with the recipe that its image is based on", () => {
    copy();
    const before = recipeReference(dir, "ollama");
    writeFileSync(join(dir, "images", "edge", "Dockerfile"), "changed");
    expect(recipeReference(dir, "ollama")).toBe(before);
    writeFileSync(join(dir, "images", "llamacpp", "llama-server"), "changed");
    expect(recipeReference(dir, "ollama")).not.toBe(before);
  });

  test("changes with a new or renamed file, and not with what editors and Python leave behind", () => {
    copy();
    const before = recipeReference(dir, "edge");
    mkdirSync(join(dir, "images", "edge", "__pycache__"));
    for (const name of [".Dockerfile.swp", "Dockerfile~", "__pycache__/x.pyc"])
      writeFileSync(join(dir, "images", "edge", name), "x");
    expect(recipeReference(dir, "edge")).toBe(before);
    writeFileSync(join(dir, "images", "edge", "extra"), "x");
    const extra = recipeReference(dir, "edge");
    expect(extra).not.toBe(before);
    rmSync(join(dir, "images", "edge", "extra"));
    writeFileSync(join(dir, "images", "edge", "extrb"), "x");
    expect(recipeReference(dir, "edge")).not.toBe(extra);
  });
});

describe("a build", () => {
  /** Builds on an engine that had the base only, and writes down what it builds. */
  async function built(...atOnce: ImageRole[][]): Promise<(string[] | undefined)[]> {
    cpSync(join(packageDir, "images"), join(dir, "images"), { recursive: true });
    const engine = `#!/bin/sh
[ "$1" = -H ] && shift 2
case "$1 $3" in
  "image gpubox/base:"*) exit 0 ;;
  "image "*) grep -qs -e "--tag $3 " "${dir}/builds"; exit ;;
esac
echo "$@" >> "${dir}/builds"
`;
    writeFileSync(join(dir, "docker"), engine, { mode: 0o755 });
    const path = process.env.PATH;
    process.env.PATH = `${dir}:${path}`;
    const options = { projectDir: dir, docker: "unix:///nowhere", log: () => {} };
    await Promise.all(atOnce.map((roles) => buildRecipes(roles, options))).finally(() => {
      process.env.PATH = path;
    });
    const builds = readFileSync(join(dir, "builds"), "utf8").trim().split("\n");
    return builds.map((line) => /BASE=(\S+).* --tag (\S+)/.exec(line)?.slice(1));
  }

  const name = (recipe: Recipe) => recipeReference(dir, recipe);

  test("of a recipe that starts from another's image comes after that one, which is built once", async () => {
    expect(await built(["ollama", "llamacpp"])).toEqual([
      [name("base"), name("llamacpp")],
      [name("llamacpp"), name("ollama")],
    ]);
  });

  test("that another box has begun is waited for, not done twice", async () => {
    const builds = await built(["edge"], ["edge"], ["edge"]);
    expect(builds).toEqual([[name("base"), name("edge")]]);
  });
});

describe("the recipes", () => {
  const text = (path: string) => readFileSync(join(packageDir, "images", path), "utf8");

  test("recipe and official image share the Postgres major", () => {
    const { tag } = readLock(packageDir).database;
    expect(text("database/Dockerfile")).toContain(`install -y --no-install-recommends postgresql-${tag} `);
  });

  test("everything from PyPI is pinned by hash", () => {
    for (const recipe of ["gateway", "llamacpp"]) {
      expect(text(`${recipe}/Dockerfile`)).toContain("pip install --no-cache-dir --require-hashes");
      const packages = text(`${recipe}/requirements.txt`).match(/^[a-z][^\n]*/gm) ?? [];
      expect(packages.filter((line) => !/^[\w.[\]-]+==\S+( ; .*)? \\$/.test(line))).toEqual([]);
    }
  });
});

describe("the mirror for debootstrap", () => {
  const debian = { main: "http://deb.debian.org/debian", security: "http://deb.debian.org/debian-security" };

  const host = (id: string, files: Record<string, string>) => {
    mkdirSync(join(dir, "apt", "sources.list.d"), { recursive: true });
    writeFileSync(join(dir, "os-release"), `NAME=x\nID=${id}\nVERSION_CODENAME=bookworm\n`);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, "apt", name), content);
    return aptMirrors(dir);
  };

  test("is Debian's own where the host is no Debian, or names none", () => {
    expect(
      host("ubuntu", { "sources.list": "deb http://archive.example.test/ubuntu bookworm main" }),
    ).toEqual(debian);
    expect(host("debian", { "sources.list": "" })).toEqual(debian);
  });

  test("is the host's from sources.list, options and foreign entries aside", () => {
    const mirrors = host("debian", {
      "sources.list": `# deb http://old.example.test/debian bookworm main
deb cdrom:[x] bookworm main
deb-src http://src.example.test/debian bookworm main
deb http://user:pass@private.example.test/debian bookworm main
deb [signed-by=/k.gpg] https://mirror.example.test/debian/ bookworm main contrib
deb http://mirror.example.test/security bookworm-security main
`,
      "sources.list.d/vendor.list": "deb http://vendor.example.test bookworm stable",
    });
    expect(mirrors).toEqual({
      main: "https://mirror.example.test/debian",
      security: "http://mirror.example.test/security",
    });
  });

  test("is the host's from deb822 stanzas", () => {
    const stanza = (uri: string, suites: string) =>
      `Types: deb deb-src\n# a comment\nURIs: ${uri}\nSuites: ${suites}\nComponents: main\n`;
    const mirrors = host("debian", {
      "sources.list.d/debian.sources": [
        stanza("http://mirror.example.test/debian", "bookworm bookworm-updates"),
        stanza("http://mirror.example.test/sec", "bookworm-security"),
      ].join("\n"),
    });
    expect(mirrors).toEqual({
      main: "http://mirror.example.test/debian",
      security: "http://mirror.example.test/sec",
    });
  });
});

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface AptMirrors {
  /** Mirror of the distribution's archive. */
  main: string;
  /** Mirror of its security archive. */
  security: string;
}

const DEBIAN: AptMirrors = {
  main: "http://deb.debian.org/debian",
  security: "http://deb.debian.org/debian-security",
};

interface Source {
  uri: string;
  suites: string[];
}

/**
 * The mirrors from which this host installs Debian packages, because it may reach no others. Debian's own mirrors on
 * other distributions, and for archives that the host's sources do not name.
 *
 * @param etc the host's configuration directory, `/etc`
 */
export function aptMirrors(etc: string): AptMirrors {
  const release = join(etc, "os-release");
  const field = (name: string) =>
    new RegExp(`^${name}="?([^"\n]*)`, "m").exec(
      existsSync(release) ? readFileSync(release, "utf8") : "",
    )?.[1];
  if (field("ID") !== "debian") return DEBIAN;
  const codename = field("VERSION_CODENAME") ?? "";
  const sources = sourceFiles(join(etc, "apt")).flatMap(parseSources);
  const mirrorOf = (suite: string) => sources.find(({ suites }) => suites.includes(suite))?.uri;
  return {
    main: mirrorOf(codename) ?? DEBIAN.main,
    security: mirrorOf(`${codename}-security`) ?? DEBIAN.security,
  };
}

function sourceFiles(apt: string): string[] {
  const parts = join(apt, "sources.list.d");
  const names = existsSync(parts) ? readdirSync(parts).sort() : [];
  return [join(apt, "sources.list"), ...names.map((name) => join(parts, name))]
    .filter((path) => /\.(list|sources)$/.test(path))
    .filter(existsSync);
}

/** Reads the sources of binary packages with component main, in both formats of sources.list(5). */
function parseSources(path: string): Source[] {
  const text = readFileSync(path, "utf8").replace(/^\s*#.*\n?/gm, "");
  const sources = path.endsWith(".list")
    ? text.split("\n").map((line) => {
        const [type, uri, suite, ...components] = line.replace(/\[[^\]]*\]/, "").split(/\s+/);
        return { type, uri, suites: suite, components: components.join(" ") };
      })
    : text.split(/\n\s*\n/).map((stanza) => {
        const field = (name: string) => new RegExp(`^${name}:(.*)$`, "im").exec(stanza)?.[1]?.trim();
        return {
          type: field("Types"),
          uri: field("URIs"),
          suites: field("Suites"),
          components: field("Components"),
        };
      });
  return sources.flatMap(({ type, uri, suites, components }) => {
    const words = (value: string | undefined) => value?.split(/\s+/) ?? [];
    const mirror = words(uri).find(isPlainMirror);
    return mirror && words(type).includes("deb") && words(components).includes("main")
      ? [{ uri: mirror.replace(/\/$/, ""), suites: words(suites) }]
      : [];
  });
}

/** Not a CD or a file, and without credentials, which the image's own sources.list would keep. */
function isPlainMirror(uri: string): boolean {
  return /^https?:\/\/[^@]*$/.test(uri);
}

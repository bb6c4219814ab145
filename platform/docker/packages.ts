export interface Distribution {
  /** `debian`, `ubuntu`, or undefined for everything that does not install Debian packages. */
  family: "debian" | "ubuntu" | undefined;
  /** As a person reads it, for example `Debian GNU/Linux 12 (bookworm)`. */
  name: string;
  version: number;
}

/** Reads the text of /etc/os-release; an empty text is an unknown system. */
export function parseOsRelease(text: string): Distribution {
  const fields = new Map(
    text.split("\n").map((line) => {
      const [, key = "", value = ""] = /^(\w+)=["']?(.*?)["']?$/.exec(line.trim()) ?? [];
      return [key, value] as const;
    }),
  );
  const like = `${fields.get("ID") ?? ""} ${fields.get("ID_LIKE") ?? ""}`.split(" ");
  const family = like.includes("ubuntu") ? "ubuntu" : like.includes("debian") ? "debian" : undefined;
  const name = fields.get("PRETTY_NAME") || "this system";
  return { family, name, version: Number.parseFloat(fields.get("VERSION_ID") ?? "") || 0 };
}

/** The distribution's packages that bring what is missing. */
export function dockerPackages(
  { family, version }: Distribution,
  missing: { engine: boolean; compose: boolean },
): string[] {
  const engine = ["docker.io", "iptables", "containerd", "runc"];
  // From Debian 13 on, docker.io no longer holds the CLI.
  if (family === "debian" && version >= 13) engine.push("docker-cli");
  const compose = family === "ubuntu" ? "docker-compose-v2" : "docker-compose";
  return [...(missing.engine ? engine : []), ...(missing.compose ? [compose] : [])];
}

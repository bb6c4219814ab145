export interface Distribution {
  /** `debian`, `ubuntu`, or undefined for any system without Debian packages. */
  family: "debian" | "ubuntu" | undefined;
  /** The system's name for people, for example `Debian GNU/Linux 12 (bookworm)`. */
  name: string;
  version: number;
}

/** Parses /etc/os-release; an empty text is an unknown system. */
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

/** The distribution's packages that contain what is missing. */
export function dockerPackages(
  { family, version }: Distribution,
  missing: { engine: boolean; compose: boolean },
): string[] {
  const engine = ["docker.io", "iptables", "containerd", "runc"];
  // From Debian 13 on, docker.io no longer contains the CLI.
  if (family === "debian" && version >= 13) engine.push("docker-cli");
  const compose = family === "ubuntu" ? "docker-compose-v2" : "docker-compose";
  return [...(missing.engine ? engine : []), ...(missing.compose ? [compose] : [])];
}

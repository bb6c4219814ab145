/** Trees that belong to the system: whatever is made, given away or removed below them, something else needs. */
const SYSTEM = [
  ...["bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "lost+found", "proc", "run", "sbin"],
  ...["snap", "sys", "usr", "var"],
];

/** Directories that many share: a box gets one of its own below them. */
const SHARED = [
  "home",
  "media",
  "mnt",
  "opt",
  "root",
  "srv",
  "tmp",
  "var/lib",
  "var/local",
  "var/opt",
  "var/tmp",
];

/** Directories below those that are somebody's already. */
const TAKEN =
  /^(var\/lib\/(apt|containerd|dbus|docker|dpkg|kubelet|mysql|pam|polkit-1|postgresql|private|snapd|sudo|systemd|ucf|usbutils)|(home\/[^/]+|root)\/\.[^/]+)(\/|$)/;

/** Why a path may not be a box's directory, as the end of a sentence about it; undefined for one that may. */
export function dataDirFlaw(path: string): string | undefined {
  if (path === "/") return "is the whole host";
  const parts = path.split("/").slice(1);
  if (parts.some((part) => ["", ".", ".."].includes(part)))
    return "is no plain path: it has . or .. or // in it";
  const plain = parts.join("/");
  // Below `home` there is one for each person, which is no box's either.
  if (SHARED.includes(plain) || /^home\/[^/]+$/.test(plain)) return "is shared with others";
  if (TAKEN.test(plain)) return "belongs to somebody else";
  const below = SHARED.some((shared) => plain.startsWith(`${shared}/`));
  return SYSTEM.includes(parts[0]!) && !below ? "belongs to the system" : undefined;
}

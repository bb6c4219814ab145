/** True for a host name or an address, as a URL has it, that means whoever asks. */
export function isOwnLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  if (/^(.+\.)?localhost$/.test(host)) return true;
  return (
    host.startsWith("127.") ||
    host === "::1" ||
    ["0.0.0.0", "::"].includes(host) ||
    /^::ffff:(7f[0-9a-f]{2}|0):/.test(host)
  );
}

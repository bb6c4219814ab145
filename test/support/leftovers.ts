import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";

/** Lines of a command's output; none where it fails or is not there. */
function lines(program: string, ...args: string[]): string[] {
  return (spawnSync(program, args).stdout?.toString() ?? "").split("\n").filter(Boolean);
}

/** Removes a stack's containers, networks, volumes and images from this machine's engine, by its label and by its names. */
export function removeFromEngine(stack: string): void {
  const label = ["--filter", `label=gpubox.stack=${stack}`];
  const names = ["--filter", `name=^/?gpubox-${stack}(-|$)`];
  const both = (...list: string[]) => [
    ...new Set([...lines("docker", ...list, ...label), ...lines("docker", ...list, ...names)]),
  ];
  const containers = both("ps", "-aq");
  if (containers.length > 0) spawnSync("docker", ["rm", "--force", "--volumes", ...containers]);
  const networks = both("network", "ls", "-q");
  if (networks.length > 0) spawnSync("docker", ["network", "rm", ...networks]);
  const volumes = both("volume", "ls", "-q");
  if (volumes.length > 0) spawnSync("docker", ["volume", "rm", "--force", ...volumes]);
  // By name: by its id an image loses its other names too.
  const images = lines(
    "docker",
    "image",
    "ls",
    "--format",
    "{{.Repository}}:{{.Tag}}",
    `gpubox-test/${stack}`,
  );
  if (images.length > 0) spawnSync("docker", ["image", "rm", ...images]);
}

/** Removes a folder, and before it every file system that a test mounted in it. */
export function removeFolder(path: string): void {
  if (!existsSync(path)) return;
  if (existsSync("/proc/self/mountinfo"))
    for (const mounted of mountsIn(readFileSync("/proc/self/mountinfo", "utf8"), path))
      spawnSync("umount", ["--lazy", mounted]);
  rmSync(path, { recursive: true, force: true });
}

/** Mount points at or below a path, the innermost first. */
export function mountsIn(mountinfo: string, path: string): string[] {
  return mountinfo
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point === path || point.startsWith(`${path}/`))
    .reverse();
}

/** Ends a second host: its processes, its namespace, its link and the way to it. */
function removeSecondHost(stack: string, net: number): void {
  const namespace = `gpubox-${stack}`;
  if (!existsSync(`/run/netns/${namespace}`)) return;
  const processes = lines("ip", "netns", "pids", namespace);
  if (processes.length > 0) spawnSync("kill", ["-9", ...processes]);
  spawnSync("ip", ["netns", "delete", namespace]);
  spawnSync("ip", ["link", "delete", `gbx-${net}`]);
  for (const table of [["-t", "nat"], []])
    for (const rule of lines("iptables", "-w", ...table, "-S"))
      if (rule.startsWith("-A") && rule.includes(`10.231.${net}.0/24`))
        spawnSync("iptables", ["-w", ...table, "-D", ...rule.split(" ").slice(1)]);
}

/** Removes everything that a suite with this stack and this subnet may have left on this machine. */
export function removeLeftovers(stack: string, net: number): void {
  removeSecondHost(stack, net);
  removeFromEngine(stack);
  removeFolder(`/srv/gpubox-${stack}`);
}

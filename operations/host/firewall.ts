import type { ContainerReach } from "./containerReach";
import type { HostStep } from "./state";
import { type HostState, RULE_COMMENT } from "./state";

const SCRIPT = "/usr/local/sbin/gpubox-docker-user";
const UNIT = "/etc/systemd/system/gpubox-docker-user.service";
const FOLDER = "/etc/gpubox/firewall.d";

export interface FirewallInput {
  stack: string;
  /** Text of assets/host/firewall.sh. */
  script: string;
  /** Undefined when the stack's file has mistakes, because then nobody knows what its containers may reach. */
  reach?: ContainerReach;
}

/**
 * Starts before Docker, so that no container runs without the rules, and after everything else that writes rules at
 * boot.
 */
export const FIREWALL_UNIT = `[Unit]
Description=gpubox: keep neighbours from containers, and containers from the host
Before=docker.service
After=network-pre.target ufw.service firewalld.service nftables.service netfilter-persistent.service
PartOf=docker.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${SCRIPT}
[Install]
WantedBy=docker.service
`;

/** A stack's own file on the host, which the script reads. */
export function firewallFile({ outside, bridges }: HostState, reach: ContainerReach): string {
  // Adds networks that are older than gpubox's bridge names, and those of Compose, which names no bridges.
  const all = [...new Set([...reach.bridges, ...bridges])].sort();
  return [
    ...(outside ? [`outside ${outside}`] : []),
    ...all.map((bridge) => `bridge ${bridge}`),
    ...reach.open.map(({ address, port }) => `open ${address} ${port}`),
    ...(reach.metadata ? ["metadata"] : []),
    "",
  ].join("\n");
}

/** Only root can tell whether the rules are there, for example after the sudo right is taken back. */
export function rulesHidden({ dockerUser, root }: HostState): boolean {
  return dockerUser === undefined && root !== "is root" && root !== "sudo";
}

/** The rules as a step. Undefined when they are in place, and when only root could tell. */
export function firewallStep(state: HostState, input: FirewallInput): HostStep | undefined {
  const { reach, script, stack } = input;
  if (!reach || rulesHidden(state) || isThere(state, input)) return undefined;
  const ports = reach.open.map(({ address, port }) => (address === "*" ? port : `${address}:${port}`));
  const parts = [
    ...(state.outside
      ? [
          `DOCKER-USER: drop packets that come in through ${state.outside} for a container's own address or for a port published on loopback`,
        ]
      : []),
    `INPUT: refuse connections of the box's containers to the host${ports.length > 0 ? `, except ${ports.join(", ")}` : ""}`,
    reach.metadata
      ? "leave metadata addresses open, for models that use the machine's role"
      : "refuse them the cloud's metadata addresses",
  ];
  const file = `${FOLDER}/${stack}`;
  const start = state.systemd
    ? `cat > ${UNIT} <<'END'\n${FIREWALL_UNIT}END\nsystemctl daemon-reload; systemctl enable gpubox-docker-user; systemctl restart gpubox-docker-user`
    : SCRIPT;
  return {
    id: "firewall",
    does: parts.join("; "),
    script: `set -e
install -d -m 0755 ${FOLDER}
cat > ${file}.new <<'END'
${firewallFile(state, reach)}END
mv -f ${file}.new ${file}
cat > ${SCRIPT}.new; chmod 0755 ${SCRIPT}.new; mv -f ${SCRIPT}.new ${SCRIPT}
${start}`,
    stdin: script,
  };
}

/** Removes a stack's rules. Undefined when it has none. */
export function firewallRemoval(state: HostState, stack: string): HostStep | undefined {
  if (state.firewallScript === undefined && state.firewallFile === undefined) return undefined;
  return {
    id: "firewall",
    does: `remove the firewall rules of ${stack}; without another prepared stack, also the unit and the script`,
    script: `set -e
rm -f ${FOLDER}/${stack}
if [ -n "$(ls ${FOLDER} 2>/dev/null)" ]; then exec ${SCRIPT}; fi
[ ! -x ${SCRIPT} ] || ${SCRIPT} remove
if [ -f ${UNIT} ]; then systemctl disable --now gpubox-docker-user || true; rm -f ${UNIT}; systemctl daemon-reload; fi
rm -f ${SCRIPT}
rmdir ${FOLDER} /etc/gpubox 2>/dev/null || true`,
  };
}

/** True when the files are as they should be and their rules are in the kernel. */
function isThere(state: HostState, { script, reach }: FirewallInput): boolean {
  if (!reach || state.firewallScript !== script || state.firewallFile !== firewallFile(state, reach))
    return false;
  if (state.systemd && state.firewallUnit !== FIREWALL_UNIT) return false;
  const { dockerUser = [], input = [] } = state;
  const bridges = ["br-gpubox+", ...state.bridges.filter((bridge) => !bridge.startsWith("br-gpubox"))];
  const jumps = (lines: string[], chain: string) =>
    bridges.every((bridge) =>
      lines.some((line) => line.includes(`-i ${bridge} `) && line.endsWith(`-j ${chain}`)),
    );
  const outside =
    !state.outside || dockerUser.some((line) => line.includes(RULE_COMMENT) && line.endsWith("-j DROP"));
  return outside && jumps(input, "GPUBOX-INPUT") && jumps(dockerUser, "GPUBOX-FORWARD");
}

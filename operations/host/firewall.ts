import type { ContainerReach } from "./containerReach";
import type { HostStep } from "./state";
import { type HostState, RULE_COMMENT } from "./state";

const SCRIPT = "/usr/local/sbin/gpubox-docker-user";
const UNIT = "/etc/systemd/system/gpubox-docker-user.service";
const FOLDER = "/etc/gpubox/firewall.d";

/** What the rules of a host are made from. */
export interface FirewallInput {
  stack: string;
  /** Text of assets/host/firewall.sh. */
  script: string;
  /** Undefined where the stack's file has mistakes: what its containers may reach is not known. */
  reach?: ContainerReach;
}

/** Before Docker, so that no container runs without the rules; after whatever else writes rules at boot. */
const UNIT_TEXT = `[Unit]
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
  // Networks that were made before gpubox named its bridges, or by Compose, which does not.
  const all = [...new Set([...reach.bridges, ...bridges])].sort();
  return [
    ...(outside ? [`outside ${outside}`] : []),
    ...all.map((bridge) => `bridge ${bridge}`),
    ...reach.open.map(({ address, port }) => `open ${address} ${port}`),
    ...(reach.metadata ? ["metadata"] : []),
    "",
  ].join("\n");
}

/** Once the right to become root is taken back, nobody can say whether the rules are there. */
export function rulesHidden({ dockerUser, root }: HostState): boolean {
  return dockerUser === undefined && root !== "is root" && root !== "sudo";
}

/** The rules as a step; undefined where they are there, and where nobody can say so. */
export function firewallStep(state: HostState, input: FirewallInput): HostStep | undefined {
  const { reach, script, stack } = input;
  if (!reach || rulesHidden(state) || isThere(state, input)) return undefined;
  const ports = reach.open.map(({ address, port }) => (address === "*" ? port : `${address}:${port}`));
  const parts = [
    ...(state.outside
      ? [
          `DOCKER-USER: drop what comes in through ${state.outside} for a container's own address or for a port published on loopback`,
        ]
      : []),
    `INPUT: refuse what the box's containers ask of the host${ports.length > 0 ? `, but for ${ports.join(", ")}` : ""}`,
    reach.metadata
      ? "leave metadata addresses open, for models that are paid by the machine's role"
      : "refuse them the cloud's metadata addresses",
  ];
  const file = `${FOLDER}/${stack}`;
  const start = state.systemd
    ? `cat > ${UNIT} <<'END'\n${UNIT_TEXT}END\nsystemctl daemon-reload; systemctl enable gpubox-docker-user; systemctl restart gpubox-docker-user`
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

/** What takes a stack's rules back; undefined where it has none. */
export function firewallRemoval(state: HostState, stack: string): HostStep | undefined {
  if (state.firewallScript === undefined && state.firewallFile === undefined) return undefined;
  return {
    id: "firewall",
    does: `take back what ${stack} needs of the firewall rules; where no other stack was prepared for, all of them, their unit and their script`,
    script: `set -e
rm -f ${FOLDER}/${stack}
if [ -n "$(ls ${FOLDER} 2>/dev/null)" ]; then exec ${SCRIPT}; fi
[ ! -x ${SCRIPT} ] || ${SCRIPT} remove
if [ -f ${UNIT} ]; then systemctl disable --now gpubox-docker-user || true; rm -f ${UNIT}; systemctl daemon-reload; fi
rm -f ${SCRIPT}
rmdir ${FOLDER} /etc/gpubox 2>/dev/null || true`,
  };
}

/** True where the files are as they should be, and the rules that they make are in the kernel. */
function isThere(state: HostState, { script, reach }: FirewallInput): boolean {
  if (!reach || state.firewallScript !== script || state.firewallFile !== firewallFile(state, reach))
    return false;
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

import { asset } from "../../platform/stack/assets";
import type { HostState, HostStep } from "./state";

const SCRIPT = "/usr/local/sbin/gpubox-boxes";
const NAME = "gpubox-boxes";
const UNIT = `/etc/systemd/system/${NAME}.service`;

/**
 * Stops before Docker and before what brings a box's address, because systemd stops in the reverse order. Neither is
 * required: a restart of Docker, which containers survive, must not stop them.
 */
export const BOXES_UNIT = `[Unit]
Description=gpubox: end boxes in order at shutdown, and bring back what Docker could not start
After=docker.service network-online.target tailscaled.service wg-quick.target
[Service]
Type=simple
RemainAfterExit=yes
ExecStart=${SCRIPT} start
ExecStop=${SCRIPT} stop
TimeoutStopSec=300
[Install]
WantedBy=multi-user.target
`;

/** Text of the script that the unit runs. */
export function boxesScript(): string {
  return asset("host/boxes.sh");
}

/** The unit as a step. Undefined when it is in place, and without systemd. */
export function boxesStep(state: HostState, script: string): HostStep | undefined {
  const there = state.boxesScript === script && state.boxesUnit === BOXES_UNIT && state.boxesRun;
  if (!state.systemd || there) return undefined;
  return {
    id: "boxes",
    does: "end boxes in order at shutdown, requests first, and start later what Docker could not start",
    script: `set -e
cat > ${SCRIPT}.new; chmod 0755 ${SCRIPT}.new; mv -f ${SCRIPT}.new ${SCRIPT}
cat > ${UNIT} <<'END'
${BOXES_UNIT}END
systemctl daemon-reload; systemctl enable --now ${NAME}`,
    stdin: script,
  };
}

/** Removes the unit and leaves the boxes as they are. Undefined when there is none, and when another stack needs it. */
export function boxesRemoval(state: HostState, stack: string): HostStep | undefined {
  const others = state.preparedStacks.some((name) => name !== stack);
  if (others || (state.boxesScript === undefined && state.boxesUnit === undefined)) return undefined;
  return {
    id: "boxes",
    does: "remove the unit that ends boxes in order at shutdown; they keep running",
    // Without its file the unit has nothing to run when it stops.
    script: `set -e
systemctl disable ${NAME} || true
rm -f ${UNIT} ${SCRIPT}
systemctl daemon-reload
systemctl stop ${NAME} || true`,
  };
}

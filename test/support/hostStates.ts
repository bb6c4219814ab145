import { BOXES_UNIT } from "../../operations/host/boxes";
import { FIREWALL_UNIT, type FirewallInput } from "../../operations/host/firewall";
import { planHost } from "../../operations/host/planHost";
import type { HostState } from "../../operations/host/state";

/** Stands for the text of assets/host/boxes.sh. */
export const BOXES = "#!/bin/sh\n# boxes\n";

/** A Debian as its installer leaves it. */
export const bare: HostState = {
  distribution: { family: "debian", name: "Debian GNU/Linux 12 (bookworm)", version: 12 },
  apt: true,
  user: "ops",
  root: "sudo",
  systemd: true,
  apparmorParserMissing: false,
  dockerCandidate: "20.10.24",
  dockerRuns: false,
  mayUseDocker: false,
  daemonJsonHidden: false,
  swarm: false,
  nvidia: false,
  nvidiaToolkit: false,
  nvidiaToolkitCandidate: false,
  nvidiaCdi: false,
  dataDir: false,
  outside: "eth0",
  preparedStacks: [],
  boxesRun: false,
  bridges: [],
};

export const firewall: FirewallInput = {
  stack: "test",
  script: "#!/bin/sh\n",
  reach: { open: [{ address: "*", port: 11434 }], metadata: false, bridges: ["br-gpuboxaaaaaa"] },
};

/** The same once it is prepared. */
export const ready: HostState = {
  ...bare,
  docker: "20.10.24",
  dockerInstalled: "20.10.24",
  dockerRuns: true,
  mayUseDocker: true,
  dataDir: true,
  daemonJson: '{"live-restore": true, "log-opts": {"max-size": "20m", "max-file": "5"}}',
  dockerUser: [
    "-N DOCKER-USER",
    "-A DOCKER-USER -i br-gpubox+ -m comment --comment gpubox -j GPUBOX-FORWARD",
    "-A DOCKER-USER -i eth0 -m comment --comment gpubox -j DROP",
  ],
  input: ["-P INPUT ACCEPT", "-A INPUT -i br-gpubox+ -m comment --comment gpubox -j GPUBOX-INPUT"],
  firewallScript: "#!/bin/sh\n",
  firewallFile: "outside eth0\nbridge br-gpuboxaaaaaa\nopen * 11434\n",
  firewallUnit: FIREWALL_UNIT,
  preparedStacks: ["test"],
  boxesScript: BOXES,
  boxesUnit: BOXES_UNIT,
  boxesRun: true,
};

/** What a host needs that differs from another one in `state`. */
export const plan = (state: Partial<HostState>, from = ready) =>
  planHost({ ...from, ...state }, { dataDir: "/srv/gpubox", firewall, boxes: BOXES });
export const ids = (state: Partial<HostState>, from = ready) => plan(state, from).steps.map(({ id }) => id);

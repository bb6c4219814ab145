import { missingDriver } from "../host/nvidia";
import type { HostFacts, RemoteFacts } from "./facts";
import { type Finding, type Row, upCommand } from "./row";

/** Clock difference in seconds from which tokens and certificates may be refused. */
const SKEW_SECONDS = 5;

/** Rows about a host behind SSH. They find nothing on this machine. */
export const remoteRows: Row[] = [
  {
    id: "ssh",
    symptom: "`No SSH connection`, `Host key verification failed`, every verb ends at once",
    cause: "the host, its key, the way to it, or its Docker",
    check: (_, { host }) => (host.unreachable ? [host.unreachable] : ifRemote(host, () => [])),
  },
  {
    id: "clock",
    symptom: "certificates are not valid yet, tokens of providers are refused, logs are out of order",
    cause: "the host's clock is wrong, or nobody keeps it",
    check: (_, { host }) =>
      ifRemote(host, ({ aheadSeconds, state }) => {
        const by = Math.abs(aheadSeconds);
        if (by < SKEW_SECONDS) return [];
        return [
          {
            what: `The host's clock is ${by} s ${aheadSeconds > 0 ? "ahead of" : "behind"} this machine's${state.ntp === false ? ", and NTP does not keep it" : ""}.`,
            fix: "On the wrong one: `sudo timedatectl set-ntp true`, or install chrony.",
          },
        ];
      }),
  },
  {
    id: "arch",
    symptom: "`exec format error`",
    cause: "the host's processor is not the one in the stack config",
    check: (box, { host }) =>
      ifRemote(host, ({ state: { arch }, declaredArch }) => {
        if (!arch || arch === declaredArch) return [];
        return [
          {
            what: `The host is ${arch}, and Pulumi.${box.stack}.yaml says ${declaredArch}.`,
            fix: `Write gpubox:host.arch: ${arch} and run ${upCommand(box)}.`,
          },
        ];
      }),
  },
  {
    id: "prepared",
    symptom: "the host lacks something that a box relies on after a restart or under load",
    cause: "nobody prepared it, or somebody changed it since",
    level: "note",
    check: ({ stack }, { host }) =>
      ifRemote(host, ({ steps, state }) => {
        const driver = missingDriver(state);
        const missing = steps.map((does) => ({
          what: `The host is not fully prepared. Missing: ${does}.`,
          fix: `Run \`gpubox host prepare --stack ${stack}\`; it shows its plan first.`,
        }));
        return driver ? [driver, ...missing] : missing;
      }),
  },
];

function ifRemote({ remote }: HostFacts, look: (seen: RemoteFacts) => Finding[]): Finding[] | undefined {
  return remote === "here" ? [] : remote && look(remote);
}

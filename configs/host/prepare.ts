import { mergeDaemonJson } from "./daemonJson";
import { dockerPackages } from "./distribution";
import type { Failure } from "./failures";
import { cdiFeature, nvidiaSteps } from "./nvidia";
import { type HostState, RULE_COMMENT } from "./state";

/** One change of a host. */
export interface HostStep {
  id: "packages" | "daemon" | "start" | "group" | "directory" | "firewall" | "nvidia" | "cdi";
  /** What it does, as a person reads it before it is done. */
  does: string;
  /** POSIX sh, run as root. Safe to repeat. */
  script: string;
  /** Its standard input. */
  stdin?: string;
}

export interface HostPlan {
  /** In their order. Empty: nothing to do. */
  steps: HostStep[];
  /** What a person should know, and what only a person can do. */
  notes: string[];
}

/** Per container; the box's own say the same. */
const LOG_OPTS = { "max-size": "20m", "max-file": "5" };

/** Why a host cannot be prepared; undefined where it can. */
export function unprepared(state: HostState, name: string, stack: string): Failure | undefined {
  const { root, user, distribution } = state;
  const again = `run \`npm run host prepare -- --stack ${stack}\` again`;
  if (root === "no sudo")
    return {
      what: `${user} is not root on ${name}, and there is no sudo.`,
      fix: `Log in as root (gpubox:host.docker: ssh://root@…), or install sudo there and let ${user} use it; then ${again}.`,
    };
  if (root === "sudo wants a password")
    return {
      what: `sudo on ${name} wants a password of ${user}, or does not know ${user}.`,
      fix: `As root there: \`echo '${user} ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/${user}\`; then ${again}. It can be taken back afterwards.`,
    };
  if (!state.apt || !distribution.family)
    return {
      what: `gpubox prepares Debian and Ubuntu; ${name} runs ${distribution.name}.`,
      fix: "Install Docker as https://docs.docker.com/engine/install/ says; then `npm run up` needs no preparation.",
    };
  if (mergeDaemonJson(state.daemonJson, {}) === "broken")
    return {
      what: `/etc/docker/daemon.json on ${name} is no JSON object, and Docker does not start with it.`,
      fix: `Correct or remove it there; then ${again}.`,
    };
  return undefined;
}

/** What brings a host into the state that a box needs. Pure; a host that is in it gets no step. */
export function planHost(state: HostState, options: { dataDir: string }): HostPlan {
  const notes: string[] = [];
  const steps: HostStep[] = [];
  const version = state.docker ?? state.dockerCandidate;
  if (!state.docker) {
    const packages = dockerPackages(state.distribution, { engine: true, compose: false }).join(" ");
    const from = `apt-get -o DPkg::Lock::Timeout=120`;
    steps.push({
      id: "packages",
      does: `install ${packages} from ${state.distribution.name}`,
      script: `export DEBIAN_FRONTEND=noninteractive; ${from} update && ${from} install -y --no-install-recommends ${packages}`,
    });
  }
  const nvidia = nvidiaSteps(state, version);
  notes.push(...nvidia.notes);
  steps.push(...nvidia.steps);
  steps.push(...daemonSteps(state, version, notes));
  if (!state.mayUseDocker)
    steps.push({
      id: "group",
      does: `let ${state.user} use Docker (group docker), which makes ${state.user} as mighty as root`,
      script: `usermod -aG docker ${state.user}`,
    });
  if (!state.dataDir)
    steps.push({
      id: "directory",
      does: `make ${options.dataDir}, owned by root`,
      script: `install -d -m 0755 -o root -g root ${options.dataDir}`,
    });
  const firewall = firewallStep(state);
  if (firewall) steps.push(firewall);
  if (!state.systemd && steps.some(({ id }) => id === "start" || id === "firewall" || id === "packages"))
    notes.push(
      "Without systemd, Docker and the firewall rules do not come back after a reboot by themselves.",
    );
  return { steps, notes };
}

function daemonSteps(state: HostState, version: string | undefined, notes: string[]): HostStep[] {
  const wanted = {
    "live-restore": true,
    ...(takesLogOpts(state.daemonJson) ? { "log-opts": LOG_OPTS } : {}),
    ...(state.nvidia ? cdiFeature(version) : {}),
  };
  const merged = mergeDaemonJson(state.daemonJson, wanted);
  if (merged === "broken") return [];
  if (merged.kept.length > 0)
    notes.push(`/etc/docker/daemon.json says something else for ${merged.kept.join(", ")}; that stays.`);
  const start = state.systemd
    ? "systemctl enable --now docker"
    : "docker info >/dev/null 2>&1 || setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null &";
  const wait =
    'for i in $(seq 60); do docker info >/dev/null 2>&1 && exit 0; sleep 1; done; echo "Docker does not answer" >&2; exit 1';
  if (merged.added.length > 0) {
    // What runs survives the restart only when live-restore was taken in before it.
    const restart = state.systemd
      ? "systemctl reload docker || true; systemctl enable docker; systemctl restart docker"
      : `pid=$(cat /var/run/docker.pid 2>/dev/null) && { kill -HUP "$pid"; sleep 1; kill "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done; }\n${start}`;
    const write =
      "install -d -m 0755 /etc/docker; cat > /etc/docker/daemon.json.new; chmod 0644 /etc/docker/daemon.json.new; mv -f /etc/docker/daemon.json.new /etc/docker/daemon.json";
    return [
      {
        id: "daemon",
        does: `add ${merged.added.join(", ")} to /etc/docker/daemon.json and ${state.dockerRuns ? "restart Docker; its containers run on" : "start Docker"}`,
        script: `${write}\n${restart}\n${wait}`,
        stdin: merged.text,
      },
    ];
  }
  if (state.dockerRuns) return [];
  return [{ id: "start", does: "start Docker, now and at boot", script: `${start}\n${wait}` }];
}

/** Other drivers have other options, and Docker refuses to start with one that its driver does not know. */
function takesLogOpts(daemonJson: string | undefined): boolean {
  const driver = /"log-driver"\s*:\s*"([^"]*)"/.exec(daemonJson ?? "")?.[1];
  return driver === undefined || driver === "json-file" || driver === "local";
}

/**
 * Before version 28 Docker lets neighbours in the host's network reach containers by their own addresses, and ports that
 * are published on loopback (moby#49325). Both rules only concern connections that come in through the outside interface.
 */
function firewallStep({ outside, dockerUser, systemd }: HostState): HostStep | undefined {
  if (!outside || dockerUser?.some((line) => line.includes(RULE_COMMENT))) return undefined;
  const comment = `-m comment --comment ${RULE_COMMENT}`;
  const rules = [
    `-i ${outside} -m conntrack --ctstate NEW -m conntrack ! --ctstate DNAT ${comment} -j DROP`,
    `-i ${outside} -m conntrack --ctorigdst 127.0.0.0/8 ${comment} -j DROP`,
  ];
  const apply = rules.map(
    (rule) => `iptables -w -C DOCKER-USER ${rule} 2>/dev/null || iptables -w -I DOCKER-USER ${rule}`,
  );
  const file = ["#!/bin/sh", "# Written by `npm run host prepare` of gpubox.", ...apply, ""].join("\n");
  const unit = [
    "[Unit]",
    "Description=gpubox: keep neighbours from containers",
    "After=docker.service",
    "PartOf=docker.service",
    "[Service]",
    "Type=oneshot",
    "RemainAfterExit=yes",
    "ExecStart=/usr/local/sbin/gpubox-docker-user",
    "[Install]",
    "WantedBy=docker.service",
    "",
  ].join("\n");
  const enable = `printf '%s' '${unit}' > /etc/systemd/system/gpubox-docker-user.service; systemctl daemon-reload; systemctl enable --now gpubox-docker-user`;
  return {
    id: "firewall",
    does: `DOCKER-USER: drop what comes in through ${outside} for a container's own address or for a port published on loopback`,
    script: `set -e\ncat > /usr/local/sbin/gpubox-docker-user; chmod 0755 /usr/local/sbin/gpubox-docker-user\n${systemd ? enable : "/usr/local/sbin/gpubox-docker-user"}`,
    stdin: file,
  };
}

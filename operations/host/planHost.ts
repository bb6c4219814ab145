import type { Failure } from "../../configs/kit/problems";
import { dockerPackages } from "../../platform/docker/packages";
import { boxesRemoval, boxesStep } from "./boxes";
import { type DaemonJson, mergeDaemonJson } from "./daemonJson";
import { type FirewallInput, firewallRemoval, firewallStep, rulesHidden } from "./firewall";
import { cdiFeature, nvidiaSteps } from "./nvidia";
import type { HostState, HostStep } from "./state";

export interface HostInput {
  dataDir: string;
  firewall: FirewallInput;
  /** Text of assets/host/boxes.sh. */
  boxes: string;
}

export interface HostPlan {
  /** In order. Empty: nothing to do. */
  steps: HostStep[];
  /** What a person should know, and what only a person can do. */
  notes: string[];
  /** Plan once more after these steps, because they reveal more about the host. */
  again?: true;
}

/** Per container. The box's own containers have the same limits. */
const LOG_OPTS = { "max-size": "20m", "max-file": "5" };

/** First Docker that does without AppArmor's parser where the kernel has AppArmor. */
const APPARMOR_OPTIONAL = 23;

/** Why a host cannot be prepared; undefined when it can. */
export function unprepared(state: HostState, name: string, stack: string): Failure | undefined {
  const { root, user, distribution } = state;
  const again = `run \`gpubox host prepare --stack ${stack}\` again`;
  if (root === "no sudo")
    return {
      what: `${user} is not root on ${name}, and sudo is not installed there.`,
      fix: `Log in as root (gpubox:host.docker: ssh://root@…), or install sudo there and let ${user} use it; then ${again}.`,
    };
  if (root === "sudo wants a password")
    return {
      what: `sudo on ${name} asks ${user} for a password, or does not allow ${user} anything${state.sudoSays ? ` (${state.sudoSays})` : ""}.`,
      // A file with a dot in its name, like many a user's, would be ignored.
      fix: `Run as root there: \`printf '${user} ALL=(ALL) NOPASSWD:ALL\\nDefaults:${user} !requiretty\\n' > /etc/sudoers.d/gpubox\`; then ${again}. You can remove that file afterwards.`,
    };
  if (!state.apt || !distribution.family)
    return {
      what: `gpubox prepares Debian and Ubuntu; ${name} runs ${distribution.name}.`,
      fix: "Follow https://docs.docker.com/engine/install/ to install Docker; then `gpubox up` needs no preparation.",
    };
  if (mergeDaemonJson(state.daemonJson, {}) === "broken")
    return {
      what: `/etc/docker/daemon.json on ${name} is not a JSON object, so Docker does not start with it.`,
      fix: `Correct or remove it there; then ${again}.`,
    };
  return undefined;
}

/** The steps that bring a host into the state that a box needs; none for a host in that state. Pure. */
export function planHost(state: HostState, options: HostInput): HostPlan {
  const notes: string[] = [];
  const steps: HostStep[] = [];
  const version = state.docker ?? state.dockerCandidate;
  if (state.docker !== state.dockerInstalled)
    notes.push(
      `Docker ${state.docker} runs, and ${state.dockerInstalled} is installed: it takes over when somebody restarts Docker.`,
    );
  if (!state.docker) {
    const packages = dockerPackages(state.distribution, { engine: true, compose: false }).join(" ");
    const from = `apt-get -o DPkg::Lock::Timeout=120`;
    steps.push({
      id: "packages",
      does: `install ${packages} from ${state.distribution.name}`,
      script: `export DEBIAN_FRONTEND=noninteractive; ${from} update && ${from} install -y --no-install-recommends ${packages}`,
    });
  }
  if (state.apparmorParserMissing && Number.parseInt(version ?? "0", 10) < APPARMOR_OPTIONAL)
    steps.push({
      id: "apparmor",
      does: "install apparmor, without which this Docker starts no container on this kernel",
      script:
        "export DEBIAN_FRONTEND=noninteractive; apt-get -o DPkg::Lock::Timeout=120 update; apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends apparmor",
    });
  // A host whose apt was never updated does not know which Docker it will get.
  if (state.nvidia && version === undefined) {
    notes.push(
      "How containers get GPUs depends on that Docker, so the remaining steps are planned after its installation.",
    );
    return { steps, notes, again: true };
  }
  const nvidia = nvidiaSteps(state, version);
  notes.push(...nvidia.notes);
  steps.push(...nvidia.steps);
  steps.push(...daemonSteps(state, version, notes));
  if (!state.mayUseDocker)
    steps.push({
      id: "group",
      does: `let ${state.user} use Docker (group docker), which makes ${state.user} as powerful as root`,
      script: `usermod -aG docker ${state.user}`,
    });
  if (!state.dataDir)
    steps.push({
      id: "directory",
      does: `create ${options.dataDir}, owned by root`,
      script: `install -d -m 0755 -o root -g root ${options.dataDir}`,
    });
  const firewall = firewallStep(state, options.firewall);
  if (firewall) steps.push(firewall);
  const boxes = boxesStep(state, options.boxes);
  if (boxes) steps.push(boxes);
  if (!options.firewall.reach)
    notes.push(
      "The firewall rules are left out: `gpubox plan` finds mistakes, so it is unknown what the box's containers may reach.",
    );
  const hidden = [
    ...(state.daemonJsonHidden ? ["/etc/docker/daemon.json"] : []),
    ...(rulesHidden(state) ? ["the firewall rules (DOCKER-USER)"] : []),
  ];
  if (hidden.length > 0) notes.push(`Not checked, because only root may read it: ${hidden.join(" and ")}.`);
  return { steps, notes };
}

/** Undoes the preparation of a host: rules and units. Docker and its settings stay, because others may use them by now. */
export function planUnprepare(state: HostState, stack: string): HostPlan {
  const removals = [firewallRemoval(state, stack), boxesRemoval(state, stack)];
  return { steps: removals.filter((step) => step !== undefined), notes: [] };
}

function daemonSteps(state: HostState, version: string | undefined, notes: string[]): HostStep[] {
  const start = state.systemd
    ? "systemctl enable --now docker"
    : "docker info >/dev/null 2>&1 || setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null &";
  const merged = state.daemonJsonHidden ? undefined : wantedDaemonJson(state, version);
  if (merged === "broken") return [];
  if (merged && merged.kept.length > 0)
    notes.push(`/etc/docker/daemon.json has other values for ${merged.kept.join(", ")}; they stay.`);
  if (state.swarm)
    notes.push(
      "Docker is part of a swarm, which forbids live-restore: a restart of Docker stops its containers.",
    );
  if (merged && merged.added.length > 0) return [daemonStep(state, merged, start)];
  if (state.dockerRuns) return [];
  return [
    {
      id: "start",
      does: "start Docker, now and at boot",
      script: `${start}\n${AWAIT} || { echo "Docker does not start: $(${WHY})" >&2; exit 1; }`,
    },
  ];
}

function wantedDaemonJson(state: HostState, version: string | undefined): DaemonJson {
  return mergeDaemonJson(state.daemonJson, {
    ...(state.swarm ? {} : { "live-restore": true }),
    ...(takesLogOpts(state.daemonJson) ? { "log-opts": LOG_OPTS } : {}),
    ...(state.nvidia ? cdiFeature(version) : {}),
  });
}

const AWAIT =
  "( for i in $(seq 60); do docker info >/dev/null 2>&1 && exit 0; systemctl is-failed -q docker 2>/dev/null && exit 1; sleep 1; done; exit 1 )";
/** Docker's own last word on why it did not start. */
const WHY = `{ journalctl -u docker -o cat -n 200 --no-pager 2>/dev/null || tail -n 200 /var/log/dockerd.log 2>/dev/null; } |
  grep -E 'failed to (start|load)|unable to|level=fatal' | tail -n 1 | grep . || echo "its log does not say why"`;

/** Writes daemon.json with its previous mode and owner, and restores it when Docker does not start with the new one. */
function daemonStep(state: HostState, merged: Exclude<DaemonJson, "broken">, start: string): HostStep {
  const stop = `pid=$(cat /var/run/docker.pid 2>/dev/null) && { kill -HUP "$pid"; sleep 1; kill "$pid"; while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done; }`;
  // Containers survive the restart only when Docker reloads live-restore before it.
  const restart = state.systemd
    ? "systemctl reset-failed docker; systemctl reload docker || true; systemctl enable docker; systemctl restart docker"
    : `${stop}\n${start}`;
  const survive = JSON.parse(merged.text)["live-restore"] === true;
  const running = `restart Docker${survive ? "; its containers keep running" : ", which stops its containers for that time"}`;
  return {
    id: "daemon",
    does: `add ${merged.added.join(", ")} to /etc/docker/daemon.json and ${state.dockerRuns ? running : "start Docker"}`,
    script: `
file=/etc/docker/daemon.json
again() {
${restart}
}
install -d -m 0755 /etc/docker
rm -f "$file.before"
if [ -f "$file" ]; then cp -p "$file" "$file.before"; cp -p "$file" "$file.new"; else : > "$file.new"; chmod 0644 "$file.new"; fi
cat > "$file.new" && mv -f "$file.new" "$file" || exit 1
again
if ${AWAIT}; then rm -f "$file.before"; exit 0; fi
why=$(${WHY})
if [ -f "$file.before" ]; then mv -f "$file.before" "$file"; else rm -f "$file"; fi
again
if ${AWAIT}; then echo "Docker does not start with the new daemon.json ($why); the previous file is back" >&2
else echo "Docker does not start, with its previous daemon.json either, which is back: $(${WHY})" >&2; fi
exit 1`,
    stdin: merged.text,
  };
}

/** Log drivers have different options, and Docker refuses to start with one that its driver does not know. */
function takesLogOpts(daemonJson: string | undefined): boolean {
  const driver = /"log-driver"\s*:\s*"([^"]*)"/.exec(daemonJson ?? "")?.[1];
  return driver === undefined || driver === "json-file" || driver === "local";
}

import type { Failure } from "../../configs/kit/problems";
import type { HostState, HostStep } from "./state";

/** First Docker that supports CDI; from `CDI_DEFAULT` on it needs no feature switch. */
const CDI_SINCE = 25;
const CDI_DEFAULT = 28;

const REPOSITORY = "https://nvidia.github.io/libnvidia-container";

function major(version: string | undefined): number {
  return Number.parseInt(version ?? "0", 10);
}

/** What daemon.json needs for NVIDIA's devices. */
export function cdiFeature(version: string | undefined): Record<string, unknown> {
  if (major(version) >= CDI_DEFAULT) return {};
  if (major(version) >= CDI_SINCE) return { features: { cdi: true } };
  return { runtimes: { nvidia: { path: "nvidia-container-runtime", args: [] } } };
}

/** What a person has to do when the kernel has no driver for an NVIDIA device. */
export function missingDriver({ nvidia, nvidiaDriver, distribution }: HostState): Failure | undefined {
  if (!nvidia || nvidiaDriver) return undefined;
  const install =
    distribution.family === "ubuntu"
      ? "`sudo ubuntu-drivers install --gpgpu`"
      : "`sudo apt-get install nvidia-driver` (component non-free)";
  return {
    what: "There is an NVIDIA device but no driver.",
    fix: `On that host, run ${install} and reboot, then run \`gpubox host prepare\` again.`,
  };
}

/**
 * The container toolkit for a host with an NVIDIA device. A person installs the driver: it belongs to the kernel and
 * needs a reboot.
 */
export function nvidiaSteps(
  state: HostState,
  version: string | undefined,
): { steps: HostStep[]; notes: string[] } {
  if (!state.nvidia) return { steps: [], notes: [] };
  const cdi = major(version) >= CDI_SINCE;
  const notes = [
    cdi
      ? `Containers get GPUs by CDI, which Docker ${version} supports.`
      : `Containers get GPUs by NVIDIA's runtime hook: Docker ${version} is older than ${CDI_SINCE} and does not support CDI.`,
  ];
  const driver = missingDriver(state);
  if (driver) notes.push(`${driver.what} ${driver.fix}`);
  const steps: HostStep[] = [];
  if (!state.nvidiaToolkit)
    steps.push({
      id: "nvidia",
      does: `install nvidia-container-toolkit${state.nvidiaToolkitCandidate ? "" : ` from NVIDIA's repository (${REPOSITORY})`}`,
      script: `set -e\nexport DEBIAN_FRONTEND=noninteractive\n${state.nvidiaToolkitCandidate ? "" : addRepository()}apt-get -o DPkg::Lock::Timeout=120 update\napt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends nvidia-container-toolkit`,
    });
  // Newer toolkits keep a description in /var/run/cdi up to date by themselves.
  if (cdi && !state.nvidiaCdi && state.nvidiaDriver)
    steps.push({
      id: "cdi",
      does: "describe the GPUs for Docker in /etc/cdi/nvidia.yaml",
      script:
        "mkdir -p /etc/cdi; ls /var/run/cdi/nvidia* >/dev/null 2>&1 || nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
    });
  return { steps, notes };
}

function addRepository(): string {
  const key = "/usr/share/keyrings/nvidia-container-toolkit.gpg";
  return [
    "apt-get update; apt-get install -y --no-install-recommends curl gpg ca-certificates",
    // In two steps, because a pipe would tell gpg's error and not curl's.
    `armored=$(curl -fsSL ${REPOSITORY}/gpgkey)`,
    `printf '%s\\n' "$armored" | gpg --batch --yes --dearmor -o ${key}`,
    `echo 'deb [signed-by=${key}] ${REPOSITORY}/stable/deb/$(ARCH) /' > /etc/apt/sources.list.d/nvidia-container-toolkit.list`,
    "",
  ].join("\n");
}

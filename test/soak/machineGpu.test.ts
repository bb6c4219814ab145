import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate } from "../support/allocate";
import { MACHINE, Machine, takeNextDocker } from "../support/machine";
import { needs } from "../support/needs";
import { gpubox } from "../support/project";
import { SshBox } from "../support/sshBox";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT, net: NET } = allocate("gpus");
/** What `host prepare` does. A file that is moved there Docker 26 does not notice. */
const DESCRIBE = "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml";
const SERVER = `gpubox-${STACK}-backend-tiny`;

needs(
  "docker",
  "pulumi",
  ...MACHINE,
)("a machine with systemd and GPUs that are stand-ins", () => {
  let box: SshBox<Machine>;
  let machine: Machine;

  const inspect = (format: string) => machine.console(`docker inspect --format '${format}' ${SERVER}`);
  /** The driver that the server's container asks, the device that it asks for, and what its processes see. */
  const given = () => ({
    asked: inspect("{{range .HostConfig.DeviceRequests}}{{.Driver}} {{.DeviceIDs}}{{end}}"),
    seen: machine.console(
      `docker exec ${SERVER} sh -c 'ls /dev | grep nvidia; tr "\\0" "\\n" </proc/1/environ | grep GIVEN_BY || true'`,
    ),
  });
  const BY_CDI = { asked: "cdi [nvidia.com/gpu=1]", seen: "nvidia1\nGIVEN_BY=cdi" };
  const BY_HOOK = { asked: "nvidia [1]", seen: "nvidia1" };
  const isWell = () => inspect("{{.State.Running}} {{.State.Health.Status}}") === "true healthy";
  const take = async (gpuAccess: "cdi" | "hook") => {
    box.edit(box.laptop, { host: { ...host(), gpuAccess } });
    await box.mustUp(box.laptop);
  };
  const host = () => ({
    ...box.sections().host,
    gpus: [0, 1].map((id) => ({ id, memoryGiB: 24, computeCapability: "8.9" })),
  });
  /** As `systemctl daemon-reload` does to a container that has it by the hook, and a bus that drops it to all. */
  const loseGpu = () =>
    machine.console(
      `nsenter -t ${inspect("{{.State.Pid}}")} -m sh -c 'cd /dev && rm nvidia1 && mknod -m 666 nvidia1 c 250 9'`,
    );
  /** The GPU, and then its server without a hand. */
  const comesBack = async () => {
    machine.console(DESCRIBE);
    await until("it is well", isWell);
    await until("it answers", () => / 200$/.test(box.ask("tiny")));
  };
  const major = () => Number.parseInt(machine.console("docker version --format '{{.Server.Version}}'"), 10);
  const findings = async () => {
    const { stdout, stderr } = await gpubox(box.laptop, "doctor", "--json");
    return `${stdout}${stderr}`;
  };

  beforeAll(async () => {
    machine = new Machine(STACK, NET);
    box = new SshBox<Machine>(STACK, PORT, NET, machine);
    await box.start();
    machine.console(readFileSync(join(packageDir, "test/support/fakeGpu.sh"), "utf8"));
    const [repository, tag] = recipeReference(packageDir, "llamacpp").split(":") as [string, string];
    const tiny = {
      ...{ engine: "llamacpp", model: "canned", image: { repository, tag }, memoryMiB: 1024, threads: 1 },
      gpu: { devices: [1], memoryGiB: 2 },
    };
    box.laptop = box.checkout({ ...box.sections(), host: host(), models: { tiny } });
  }, 10 * MINUTE);

  afterAll(() => box?.remove(), 2 * MINUTE);

  test(
    "gives them by NVIDIA's hook where the engine of Debian 13 knows no description of them",
    async () => {
      // A host that somebody else has prepared, as most of them are.
      machine.console("apt-get update; apt-get install -y --no-install-recommends docker.io docker-cli");
      expect(major()).toBe(26);
      machine.console("usermod -aG docker ops");
      await box.copyImages();
      await box.mustUp(box.laptop);
      await box.readKey();
      expect(given()).toEqual(BY_HOOK);
      expect(box.ask("tiny")).toMatch(/ 200$/);
    },
    20 * MINUTE,
  );

  test(
    "gives them by CDI once the host is prepared and the config says so, and no hook is needed any more",
    async () => {
      expect(await box.prepare()).toContain("cdi");
      machine.console("rm /usr/local/bin/nvidia-container-runtime-hook; systemctl restart docker");
      await take("cdi");
      expect(given()).toEqual(BY_CDI);
      expect(box.ask("tiny")).toMatch(/ 200$/);
    },
    10 * MINUTE,
  );

  test(
    "gives a server that loses its GPU a new life with it",
    async () => {
      const life = inspect("{{.State.StartedAt}}");
      loseGpu();
      await until("another life", () => inspect("{{.State.StartedAt}}") !== life && isWell());
      expect(given()).toEqual(BY_CDI);
      expect(await findings()).toContain(`${SERVER} ended by itself once`);
    },
    5 * MINUTE,
  );

  test(
    "that has no GPU for a while names it, and starts its server when it is back, without a hand",
    async () => {
      machine.console("rm /etc/cdi/nvidia.yaml");
      loseGpu();
      const refusal = () => inspect("{{.State.Error}}");
      await until("Docker's refusal", () => refusal() !== "");
      expect(refusal()).toContain("nvidia.com/gpu=1");
      expect(await findings()).toContain("nvidia.com/gpu=1");
      await comesBack();
    },
    5 * MINUTE,
  );

  test(
    "that lacks it at a boot starts its server as soon as it is there, without a hand",
    async () => {
      machine.console("rm /etc/cdi/nvidia.yaml");
      await machine.reboot();
      await until("Docker's refusal", () => machine.runs() && inspect("{{.State.Error}}") !== "");
      await comesBack();
      expect(given()).toEqual(BY_CDI);
    },
    5 * MINUTE,
  );

  test(
    "gives them by CDI and by the hook on Docker 28 too",
    async () => {
      machine.console(takeNextDocker());
      machine.console(readFileSync(join(packageDir, "test/support/fakeGpu.sh"), "utf8"));
      machine.console("systemctl restart docker");
      expect(major()).toBeGreaterThanOrEqual(28);
      machine.console(`docker restart ${SERVER}`);
      await until("it is well", isWell);
      expect(given()).toEqual(BY_CDI);
      await take("hook");
      expect(given()).toEqual(BY_HOOK);
      expect(box.ask("tiny")).toMatch(/ 200$/);
      await take("cdi");
      expect(given()).toEqual(BY_CDI);
    },
    15 * MINUTE,
  );
});

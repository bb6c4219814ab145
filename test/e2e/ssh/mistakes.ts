import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../../platform/process";
import { editStack } from "../../support/box";
import { gpubox, makeProject, removeProject } from "../../support/project";
import type { SshBox } from "../../support/sshBox";
import { until } from "../../support/wait";

const MINUTE = 60_000;

/** What a person may have wrong between a laptop and its host. */
export function mistakeStories(box: () => SshBox): void {
  describe("with a bad input changes nothing and says what to do", () => {
    const place = (more: Record<string, unknown>) => {
      box().edit(box().laptop, box().sections({ aliases: ["second-name"] }, more));
      return box().laptop;
    };
    afterEach(() => box().edit(box().laptop, box().sections({ aliases: ["second-name"] })));

    test("another host key", async () => {
      const other = join(box().laptop.dir, "known_hosts.other");
      writeFileSync(other, `${box().host.address} ${readFileSync(`${box().host.key}.pub`, "utf8")}`);
      const project = place({ knownHosts: other });
      await box().refused(
        project,
        ["up"],
        `The host key of ${box().host.address} is not the one in`,
        "only if they are the same",
      );
    });

    test("no host key", async () => {
      const project = place({ knownHosts: "/dev/null" });
      await box().refused(
        project,
        ["up"],
        `The host key of ${box().host.address} is not known`,
        "ssh-keyscan",
      );
    });

    test("a key that the host does not accept", async () => {
      await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(box().laptop.dir, "other")]);
      const project = place({ identityFile: join(box().laptop.dir, "other") });
      await box().refused(project, ["up"], "does not accept the key", "ssh-copy-id");
    });

    test("a port where no sshd listens", async () => {
      const project = place({ docker: `ssh://ops@${box().host.address}:2222` });
      await box().refused(
        project,
        ["up"],
        `Nothing listens for SSH at ${box().host.address}:2222.`,
        "Start sshd there",
      );
    });

    test("a user outside the group docker, without sudo", async () => {
      const project = place({ docker: box().host.host("plain").docker });
      await box().refused(project, ["up"], "but plain may not use it", "gpubox host prepare");
      await box().refused(project, ["host", "prepare", "--yes"], "sudo", "/etc/sudoers.d/gpubox");
    });

    test("a data directory on a full disk, and on one that is read-only", async () => {
      box().host.console("mkdir -p /srv/small && mount -t tmpfs -o size=1m tmpfs /srv/small");
      try {
        const project = place({ dataDir: "/srv/small" });
        await box().refused(project, ["up"], "GiB free for /srv/small", "Free at least 3 GiB");
        box().host.console("mount -o remount,ro /srv/small");
        for (const verb of [["up"], ["host", "prepare", "--yes"]])
          await box().refused(
            project,
            verb,
            "mounted read-only (/srv/small)",
            "mount -o remount,rw /srv/small",
          );
      } finally {
        box().host.console("umount /srv/small && rmdir /srv/small");
      }
    });

    test("another checkout's stack of the same name, and another stack in the same directory", async () => {
      await box().refused(
        box().checkout(),
        ["up"],
        "of another checkout, with another salt key",
        "gpubox up --take-over",
      );
      const other = makeProject(`${box().stack}2`, box().port + 10, {
        ...box().sections(),
        gateway: { port: box().port + 10 },
      });
      try {
        await box().refused(
          other,
          ["up"],
          `belongs to the stack ${box().stack}`,
          "a gpubox:host.dataDir and ports of its own",
        );
      } finally {
        await run("ssh", ["-F", `.gpubox/ssh/${box().stack}2/config`, "-O", "exit", box().host.address], {
          cwd: other.dir,
        });
        removeProject(other);
      }
    });

    test("an address that leads to another engine than the box's", async () => {
      const id = box().host.console("docker info --format '{{.ID}}'").trim();
      const remembered = (hostId: string) =>
        editStack(box().laptop, (config) => Object.assign(config, { "gpubox:hostId": hostId }));
      const file = readFileSync(join(box().laptop.dir, `Pulumi.${box().stack}.yaml`), "utf8");
      expect(file).toContain(id);
      remembered("another");
      try {
        await box().refused(
          box().laptop,
          ["up"],
          "is on another Docker engine than the one that answers",
          "gpubox:host.docker",
        );
      } finally {
        remembered(id);
      }
    });

    test(
      "an engine that is down",
      async () => {
        const before = box().host.console(`cat ${box().data}/.gpubox-stack`);
        box().host.console(
          "kill $(cat /var/run/docker.pid); while [ -e /var/run/docker.pid ]; do sleep 0.2; done",
        );
        try {
          const said = await gpubox(box().laptop, "up");
          expect(said.stderr).toContain("is installed on");
          expect(said.stderr).toContain("systemctl start docker");
          expect(said.code).toBe(1);
          expect(box().host.console(`cat ${box().data}/.gpubox-stack`)).toBe(before);
        } finally {
          expect((await gpubox(box().laptop, "host", "prepare", "--yes")).stdout).toContain("start Docker");
        }
        await until("an answer", () => box().ask("tiny").endsWith(" 200"), { seconds: 300, everyMs: 200 });
      },
      5 * MINUTE,
    );
  });
}

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectionFolder, engineAddress } from "../../configs/network/engine";
import { hostSchema } from "../../configs/schema/host";
import { composeHost } from "../../operations/compose/composeHost";
import { run } from "../../platform/process";
import { needs } from "../support/needs";

const overSsh = engineAddress({ stack: "box", host: hostSchema.parse({ docker: "ssh://user@box" }) });

test("only docker-compose 1.29 over SSH gets the socket's whole path, and one that is too long is refused", () => {
  expect(composeHost(overSsh, "docker", "/home/me/box")).toBe("unix://.gpubox/ssh/box/docker.sock");
  expect(composeHost("unix:///run/docker.sock", "docker-compose", "/home/me/box")).toBe(
    "unix:///run/docker.sock",
  );
  expect(composeHost(overSsh, "docker-compose", "/home/me/box")).toBe(
    "unix:///home/me/box/.gpubox/ssh/box/docker.sock",
  );
  const rest = "/.gpubox/ssh/box/docker.sock".length;
  expect(composeHost(overSsh, "docker-compose", `/${"x".repeat(106 - rest)}`)).toMatch(/^unix:/);
  expect(() => composeHost(overSsh, "docker-compose", `/${"x".repeat(107 - rest)}`)).toThrow(
    /longer than 107 bytes\. Install Docker's Compose plugin/,
  );
});

needs("docker", "docker-compose")("docker-compose 1.29 and the socket of an SSH connection", () => {
  test("lists through it, from the project's folder and with a file elsewhere", async () => {
    const dir = mkdtempSync(join(tmpdir(), "gpubox-"));
    mkdirSync(join(dir, connectionFolder("box")), { recursive: true });
    symlinkSync("/var/run/docker.sock", join(dir, connectionFolder("box"), "docker.sock"));
    const file = join(dir, "docker-compose.box.yaml");
    writeFileSync(file, 'services: { edge: { image: "x" } }\n');
    const listed = (host: string) =>
      run("docker-compose", ["-p", "gpubox-none", "-f", file, "ps", "-q"], {
        cwd: dir,
        env: { DOCKER_HOST: host },
      });
    const { code, stdout } = await listed(composeHost(overSsh, "docker-compose", dir));
    // The path that everything else here takes: when this works, the difference may go.
    const relative = await listed(overSsh);
    rmSync(dir, { recursive: true });
    expect([code, stdout]).toEqual([0, ""]);
    expect(relative.code).not.toBe(0);
  });
});

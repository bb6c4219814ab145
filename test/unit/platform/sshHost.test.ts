import { connectionOf, dockerHostName, engineAddress } from "../../../configs/network/engine";
import { sshAddress } from "../../../configs/schema/address";
import { hostSchema } from "../../../configs/schema/host";
import { engineFailure, sshFailure } from "../../../platform/ssh/failures";
import { sshConfig } from "../../../platform/ssh/sshConfig";
import { tunnel } from "../../../platform/ssh/tunnel";

const host = (more: Record<string, unknown> = {}) =>
  hostSchema.parse({ docker: "ssh://ops@gpu1.example:2222", ...more });

describe("the address of a host behind SSH", () => {
  test("has a user, a port and a socket, or the usual ones", () => {
    expect(sshAddress("ssh://ops@gpu1.example:2222")).toEqual({
      user: "ops",
      host: "gpu1.example",
      port: 2222,
      socket: "/var/run/docker.sock",
    });
    expect(sshAddress("ssh://gpu1")).toEqual({ host: "gpu1", socket: "/var/run/docker.sock" });
    expect(sshAddress("ssh://[fd00::1]:22/run/user/1000/docker.sock")).toEqual({
      host: "fd00::1",
      port: 22,
      socket: "/run/user/1000/docker.sock",
    });
  });

  test.each([
    "ssh://-oProxyCommand=x",
    "ssh://-x@gpu1",
    "ssh://gpu1 -v",
    "ssh://",
    "unix:///run/docker.sock",
  ])("is never an option of ssh: %s", (docker) => {
    expect(sshAddress(docker)).toBeUndefined();
  });

  test("is a socket of the project for everything that talks to the engine, the same on every machine", () => {
    const docker = engineAddress({ stack: "gpu1", host: host() });
    expect(docker).toBe("unix://.gpubox/ssh/gpu1/docker.sock");
    expect(connectionOf(docker)).toBe(".gpubox/ssh/gpu1");
    expect(connectionOf("unix:///var/run/docker.sock")).toBeUndefined();
    expect(engineAddress({ stack: "dev", host: hostSchema.parse({}) })).toBe("unix:///var/run/docker.sock");
  });

  test("has the host's name for people", () => {
    expect(dockerHostName("ssh://ops@gpu1.example:2222/run/docker.sock")).toBe("ops@gpu1.example:2222");
  });
});

test("every connection says that it lives, to jump hosts too, whatever a person's own file says", () => {
  const [, everywhere = ""] = sshConfig("gpu1", host({ jump: "ops@bastion" })).split(/^Host \*$/m);
  const alive = everywhere.indexOf("ServerAliveInterval 15\n  ServerAliveCountMax 3\n");
  expect(alive).toBeGreaterThan(0);
  // The first value of an option wins.
  expect(alive).toBeLessThan(everywhere.indexOf("Include ~/.ssh/config"));
});

test("a client here reaches the box by a connection with the stack's own jump host, key and known hosts", () => {
  const ports = [
    { bind: "127.0.0.1", port: 4000 },
    { bind: "::", port: 4001 },
    { bind: "fd00::1", port: 4002 },
  ];
  expect(tunnel({ stack: "gpu1", host: host() }, ports)).toBe(
    "ssh -F .gpubox/ssh/gpu1/config -S none -N -L 4000:127.0.0.1:4000 -L 4001:127.0.0.1:4001 -L 4002:[fd00::1]:4002 gpu1.example",
  );
  expect(tunnel({ stack: "dev", host: hostSchema.parse({}) }, ports)).toBeUndefined();
});

describe("the configuration of the connection", () => {
  const text = sshConfig(
    "gpu1",
    host({ knownHosts: "known_hosts.gpu1", identityFile: "~/.ssh/gpu", jump: "ops@bastion" }),
  );

  test("checks the host key of the host and of the jump host, before the user's own file can say otherwise", () => {
    const strict = text.indexOf("StrictHostKeyChecking yes");
    expect(strict).toBeGreaterThan(text.indexOf("Host *"));
    expect(strict).toBeLessThan(text.indexOf("Include ~/.ssh/config"));
    expect(text).toContain('UserKnownHostsFile "known_hosts.gpu1"\n  GlobalKnownHostsFile /dev/null');
  });

  test("shares the connection to the host alone: the jump host's would have the same socket", () => {
    const [own, all] = text.split("Host *\n");
    expect(own).toContain("ControlPath .gpubox/ssh/gpu1/master");
    expect(own).toContain("ProxyJump ops@bastion");
    expect(all).not.toContain("ControlPath");
    expect(all).toContain('IdentityFile "~/.ssh/gpu"\n  IdentitiesOnly yes');
  });

  test.each(["a\nProxyCommand x", 'a"b', "-F x", " x"])("accepts no configuration in a path: %j", (path) => {
    expect(hostSchema.safeParse({ docker: "ssh://gpu1", identityFile: path }).success).toBe(false);
  });
});

describe("a connection that fails says what is wrong and what to do", () => {
  test.each([
    [
      "ssh: Could not resolve hostname gpu1.example: Name or service not known",
      "The name gpu1.example leads nowhere.",
      "Correct gpubox:host.docker",
    ],
    [
      "ssh: connect to host gpu1.example port 2222: Connection refused",
      "Nothing listens for SSH at gpu1.example:2222.",
      "Start sshd there, or write its port: ssh://ops@gpu1.example:PORT.",
    ],
    [
      "ssh: connect to host bastion port 22: No route to host\nConnection closed by UNKNOWN port 65535",
      "bastion:22 does not answer",
      "VPN, firewall, host.jump",
    ],
    [
      "No ED25519 host key is known for gpu1.example and you have requested strict checking.\nHost key verification failed.",
      "The host key of gpu1.example is not known",
      "ssh-keyscan -p 2222 gpu1.example",
    ],
    [
      "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
      "The host key of gpu1.example is not the one in ~/.ssh/known_hosts",
      "only if they are the same, replace the line",
    ],
    [
      "ops@gpu1.example: Permission denied (publickey).",
      "does not accept the key",
      "ssh-copy-id -p 2222 ops@gpu1.example",
    ],
    [
      "Warning: Identity file /nokey not accessible: No such file or directory.\nops@gpu1.example: Permission denied (publickey).",
      "does not exist",
      "gpubox:host.identityFile",
    ],
    [
      "kex_exchange_identification: Connection closed by remote host",
      "closed the connection before it was established",
      "MaxStartups",
    ],
    [
      "something new",
      "No SSH connection to ops@gpu1.example:2222 could be made: something new.",
      "true` work",
    ],
  ])("%j", (words, what, fix) => {
    const failure = sshFailure(words, host());
    expect(failure.what).toContain(what);
    expect(failure.fix).toContain(fix);
  });
});

describe("an engine that does not answer through SSH", () => {
  test.each([
    ["user=ops\ninstalled=yes\nsocket=yes\n", "but ops may not use it", "usermod -aG docker ops"],
    ["user=ops\n", "There is no Docker on ops@gpu1.example:2222.", "gpubox host prepare --stack gpu1"],
    [
      "user=ops\ninstalled=yes\nsocket=yes\nwritable=yes\nanswers=yes\n",
      "Docker answers on ops@gpu1.example:2222, but not through SSH",
      "AllowStreamLocalForwarding yes",
    ],
    [
      "user=ops\ninstalled=yes\n",
      "installed on ops@gpu1.example:2222 but does not answer",
      "systemctl start docker",
    ],
  ])("%j", (probe, what, fix) => {
    const failure = engineFailure(probe, host(), "gpu1");
    expect(failure.what).toContain(what);
    expect(failure.fix).toContain(fix);
  });
});

import type { Facts } from "../../operations/doctor/facts";
import { parseState } from "../../operations/host/state";
import { type Case, healthy, logged, remote } from "./doctorFacts";

/** What may be wrong with the host, with its engine, and with what clients send. */
export const HOST_CASES: Case[] = [
  [
    "a host that SSH does not reach",
    "ssh",
    {
      docker: { state: "silent", reason: "" },
      host: { unreachable: { what: "The name gpu1 leads nowhere.", fix: "Correct it." } },
    },
    "The name gpu1 leads nowhere.",
    "Correct it.",
  ],
  [
    "a clock that is behind",
    "clock",
    remote({ aheadSeconds: -90 }),
    "The host's clock is 90 s behind this machine's, and NTP does not keep it.",
    /set-ntp true/,
  ],
  [
    "another processor",
    "arch",
    remote({ declaredArch: "arm64" }),
    "The host is amd64, and Pulumi.test.yaml says arm64.",
    /gpubox:host.arch: amd64/,
  ],
  [
    "a host that lost a rule",
    "prepared",
    remote({ steps: ["start Docker, now and at boot"] }),
    "The host is not fully prepared. Missing: start Docker, now and at boot.",
    /gpubox host prepare --stack test/,
  ],
  [
    "a host that `up` refuses",
    "unfit",
    {
      ...healthy,
      host: { ...healthy.host, unfit: [{ what: "/srv/gpubox on gpu1 is read-only.", fix: "Mount it." }] },
    },
    "/srv/gpubox on gpu1 is read-only.",
    "Mount it.",
  ],
  [
    "a host that starts nothing at boot",
    "boot",
    {
      ...remote({}),
      host: { ...remote({}).host, withoutSystemd: { what: "gpu1 runs no systemd.", fix: "Install it." } },
    },
    "gpu1 runs no systemd.",
    "Install it.",
  ],
  [
    "a disk that can hold no further file",
    "disk",
    {
      ...healthy,
      host: { ...healthy.host, disks: [{ folders: ["/srv"], freeBytes: 100e9, freeFiles: 12 }] },
    },
    "Only 12 more files fit on the disk of /srv: it has no inodes left.",
    /gpubox gc/,
  ],
  [
    "this machine without firewall rules",
    "firewall",
    {
      ...healthy,
      host: { ...healthy.host, firewall: ["INPUT: refuse connections of the box's containers to the host"] },
    },
    /^This machine lets the box's containers reach its own ports and metadata addresses. Missing: INPUT: refuse/,
    /gpubox host prepare --stack test/,
  ],
  [
    "a host with a GPU that no driver knows",
    "prepared",
    remote({ state: { ...parseState(""), arch: "amd64", nvidia: true } }),
    "There is an NVIDIA device but no driver.",
    /nvidia-driver/,
  ],
  [
    "an engine that does not answer",
    "docker",
    { docker: { state: "silent", reason: "connection refused" }, host: {} },
    "The Docker engine at unix:///var/run/docker.sock does not answer: connection refused.",
    /systemctl start docker/,
  ],
  [
    "no docker command",
    "docker",
    { docker: { state: "no-cli" }, host: {} },
    /no `docker` command/,
    /gpubox up/,
  ],
  [
    "a user without the socket",
    "docker",
    { docker: { state: "denied" }, host: {} },
    /may not use/,
    /usermod/,
  ],
  [
    "a stack that was never up",
    "box",
    { docker: { state: "answers" }, containers: [], networks: [], host: {} },
    "The stack test has no container here.",
    "Run `gpubox up --stack test`.",
  ],
  [
    "a full disk",
    "disk",
    { ...healthy, host: { ...healthy.host, disks: [{ folders: ["/srv"], freeBytes: 2 * 2 ** 30 }] } },
    "Only 2.0 GiB are free for /srv.",
    /gpubox gc/,
  ],
  [
    "a machine out of memory",
    "host-memory",
    { ...healthy, host: { ...healthy.host, memory: { totalBytes: 24e9, availableBytes: 1e9 } } },
    /only 0.9 GiB are available/,
    /gpubox model stop/,
  ],
  [
    "a lost GPU",
    "gpu",
    {
      ...healthy,
      host: {
        ...healthy.host,
        gpus: {
          declared: ["0", "1"].map((id) => ({ id, memoryMiB: 24_000 })),
          found: { ids: ["0"], memoryMiB: { "0": 24_564 } },
        },
      },
    },
    "The host has no GPU 1, which Pulumi.test.yaml declares.",
    /xid/,
  ],
  [
    "a GPU that is smaller than declared",
    "gpu",
    {
      ...healthy,
      host: {
        ...healthy.host,
        gpus: {
          // 80 GB by name and slices, whose memory nvidia-smi does not list, are no finding.
          declared: [
            { id: "0", memoryMiB: 81_920 },
            { id: "1", memoryMiB: 81_920 },
            { id: "MIG-a", memoryMiB: 81_920 },
          ],
          found: { ids: ["0", "1", "MIG-a"], memoryMiB: { "0": 81_559, "1": 24_564 } },
        },
      },
    },
    "GPU 1 has 24564 MiB, and Pulumi.test.yaml declares 81920 MiB: models are planned onto memory that is not there.",
    /memoryGiB of that device in gpubox:host.gpus to 23.98/,
  ],
  [
    "a driver that does not answer",
    "gpu",
    {
      ...healthy,
      host: {
        ...healthy.host,
        gpus: { declared: [{ id: "0", memoryMiB: 1 }], found: { failed: "version mismatch" } },
      },
    },
    "The NVIDIA driver does not answer: version mismatch.",
    /reboot/,
  ],
  ...(
    [
      ["wrong-key", 401, /right key/],
      ["admin-route", 404, /base URL/],
      ["host-name", 421, /gateway.hosts/],
      ["odd-path", 400, /without a slash/],
      ["web-page", 403, /gateway.auth/],
      ["slow-client", 408, /network/],
    ] as const
  ).map(
    ([row, status, fix]) =>
      [
        `a ${status} of the edge's own`,
        row,
        { ...healthy, requests: [logged(200, false), logged(status)] },
        `The edge answered 1 request with ${status}, the last for POST /v1/x.`,
        fix,
      ] as [string, string, Facts, string, RegExp],
  ),
  [
    "requests that failed",
    "failed",
    { ...healthy, requests: [logged(200, false), logged(503, false), logged(504)] },
    "2 of the last 3 requests failed (503, 504), the last POST /v1/x.",
    /gpubox logs gateway/,
  ],
];

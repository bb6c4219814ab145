import { ensureDocker, findDocker } from "../../../platform/docker/engine";
import { dockerPackages, parseOsRelease } from "../../../platform/docker/packages";

const bookworm = `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n`;
const noble = `PRETTY_NAME="Ubuntu 24.04.3 LTS"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n`;

describe("packages by distribution", () => {
  test.each([
    ["Debian", bookworm, { family: "debian", name: "Debian GNU/Linux 12 (bookworm)", version: 12 }],
    ["Ubuntu", noble, { family: "ubuntu", name: "Ubuntu 24.04.3 LTS", version: 24.04 }],
    [
      "a child of Ubuntu",
      `ID=linuxmint\nID_LIKE="ubuntu debian"\nPRETTY_NAME="Linux Mint 22"`,
      { family: "ubuntu", name: "Linux Mint 22", version: 0 },
    ],
    [
      "a child of Debian",
      `ID='raspbian'\nID_LIKE='debian'\nVERSION_ID='13'`,
      { family: "debian", name: "this system", version: 13 },
    ],
    [
      "Fedora",
      `ID=fedora\nPRETTY_NAME="Fedora Linux 44"\nVERSION_ID=44`,
      { family: undefined, name: "Fedora Linux 44", version: 44 },
    ],
    ["no os-release", "", { family: undefined, name: "this system", version: 0 }],
  ])("%s is recognised", (_, text, expected) => {
    expect(parseOsRelease(text)).toEqual(expected);
  });

  test("only what is missing is installed, and from Debian 13 on the CLI is a package of its own", () => {
    const debian12 = parseOsRelease(bookworm);
    const engine = ["docker.io", "iptables", "containerd", "runc"];
    expect(dockerPackages(debian12, { engine: true, compose: false })).toEqual(engine);
    expect(dockerPackages({ ...debian12, version: 13 }, { engine: true, compose: true })).toEqual([
      ...engine,
      "docker-cli",
      "docker-compose",
    ]);
    expect(dockerPackages(debian12, { engine: false, compose: true })).toEqual(["docker-compose"]);
    expect(dockerPackages(parseOsRelease(noble), { engine: true, compose: true })).toEqual([
      ...engine,
      "docker-compose-v2",
    ]);
  });
});

describe("an engine that does not answer", () => {
  test("is distinguished from a missing CLI", async () => {
    const path = process.env.PATH;
    try {
      process.env.PATH = "/nowhere";
      expect(await findDocker("unix:///nowhere.sock")).toEqual({ state: "no-cli" });
    } finally {
      process.env.PATH = path;
    }
  });

  test("is never installed or started on another machine or socket", async () => {
    const options = { projectDir: "/nowhere", yes: true, interactive: false, log: () => {} };
    await expect(ensureDocker({ ...options, host: "unix:///nowhere.sock" })).rejects.toMatchObject({
      what: expect.stringMatching(/^Docker at unix:\/\/\/nowhere\.sock does not answer \(.+\)\.$/),
      fix: "Make `docker -H unix:///nowhere.sock version` work first; gpubox installs Docker on the machine it runs on only.",
    });
  });
});

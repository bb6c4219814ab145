import { randomBytes } from "node:crypto";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { dockerAt } from "../../platform/docker/client";
import { readLog } from "../../platform/docker/logs";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { needs } from "../support/needs";
import { until } from "../support/wait";

needs("docker")("a log in which a power cut left zeros", () => {
  const host = "unix:///var/run/docker.sock";
  const docker = dockerAt(host);
  const name = `gpubox-zeros-${randomBytes(4).toString("hex")}`;
  const said = async () => (await docker.run(["logs", "--tail", "1", name])).stdout;

  beforeAll(async () => {
    const { edge } = await buildRecipes(["edge"], { projectDir: packageDir, docker: host, log: () => {} });
    const plain = [
      "--network",
      "none",
      "--memory",
      "64m",
      "--user",
      "0:0",
      "--entrypoint",
      "sh",
      edge!,
      "-c",
    ];
    const speak =
      "mkfifo /tmp/say; seq -f 'before %g' 20; read -r go </tmp/say; seq -f 'after %g' 30; exec sleep 300";
    await output("docker", ["run", "-d", "--name", name, "--log-driver", "json-file", ...plain, speak]);
    await until("it has spoken", async () => (await said()) === "before 20\n");
    const file = await output("docker", ["inspect", "--format", "{{.LogPath}}", name]);
    const zeros = ["run", "--rm", "-v", `${file}:/log`, ...plain, "head -c 3000 /dev/zero >>/log"];
    await output("docker", zeros);
    await output("docker", ["exec", name, "sh", "-c", "echo go >/tmp/say"]);
    await until("it has spoken again", async () => (await said()) === "after 30\n");
  }, 300_000);
  afterAll(() => run("docker", ["rm", "-f", name]));

  test("is read on both sides of them, where Docker itself stops", async () => {
    const plain = await docker.run(["logs", "--since", "15m", name]);
    // 20.10 comes past the zeros at times, some lines too far.
    expect(plain.stdout).not.toContain("after 2\n");
    const { lines, gap } = await readLog(docker, name, { since: "15m" });
    const words = [...lines].sort().map((line) => line.slice(line.indexOf(" ") + 1));
    const numbers = (word: string, from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, index) => `${word} ${from + index}`);
    // The first line behind the zeros shares its line of the file with them.
    expect(words).toEqual([...numbers("before", 1, 20), ...numbers("after", 2, 30)]);
    expect(gap).toEqual({ tail: 29, after: expect.stringMatching(/Z$/) });
  });
});

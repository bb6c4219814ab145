import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageDir } from "../../../platform/project";
import { scratch } from "../../support/allocate";

/** Reads its config for a moment, says that it runs, and that it was told to end; it ends a moment later, and after ten seconds anyhow. */
const HAPROXY = `#!/bin/bash
trap 'echo told; read -rt 0.3 _ <> <(:); exit 3' USR1
read -rt 0.3 _ <> <(:)
echo runs
for turn in {1..100}; do read -rt 0.1 _ <> <(:); done
`;

// By the image the stop signal is HAProxy's own one, by the container runtime where the image names none SIGTERM.
test.each(["SIGTERM", "SIGUSR1"] as const)(
  "an edge on a cluster that gets %s tells HAProxy to end with its last request",
  async (signal) => {
    const dir = scratch("edge");
    mkdirSync(join(dir, "bin"));
    writeFileSync(join(dir, "bin/haproxy"), HAPROXY, { mode: 0o755 });
    const script = readFileSync(join(packageDir, "assets/kubernetes/edge.sh"), "utf8");
    writeFileSync(join(dir, "edge.sh"), script.replaceAll("/tmp/", `${dir}/`));
    const env = { ...process.env, PATH: `${dir}/bin:${process.env.PATH}`, DRAIN_NOTICE_SECONDS: "0" };
    const edge = spawn("bash", [join(dir, "edge.sh")], { env, stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    edge.stdout.on("data", (chunk) => {
      said += chunk;
    });
    await once(edge.stdout, "data");
    edge.kill(signal);
    expect(await once(edge, "close")).toEqual([3, null]);
    expect(said).toBe("runs\ntold\n");
    rmSync(dir, { recursive: true });
  },
);

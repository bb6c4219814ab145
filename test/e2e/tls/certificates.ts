import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { directoryInput, makeWritable, writeDirectory } from "../../../configs/kit/hostFiles";
import type { CertificatesPlan } from "../../../configs/kit/types";
import { buildRecipes } from "../../../operations/images/buildRecipes";
import { run } from "../../../platform/process";
import { packageDir } from "../../../platform/project";
import { recipeReference } from "../../../platform/stack/recipes";
import type { Pair } from "../../support/certificates";
import { recipes, testPlan } from "../../support/stacks";
import { edgeImage, type Lab, stubImage } from "../haproxy/lab";

/** The ACME client's image; {@link buildAcme} makes it. */
const acmeImage = recipeReference(packageDir, "acme");

export async function buildAcme(): Promise<void> {
  const docker = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
  await buildRecipes(["acme"], { projectDir: packageDir, docker, log: () => {} });
}

/** The container that keeps certificates for a stack with this `gateway`, with everything of it below the lab's folder. */
export function planFor(lab: Lab, gateway: Record<string, unknown>): CertificatesPlan {
  const image = (reference: string) => ({ reference, source: "recipe" as const });
  const images = { ...recipes.images, edge: image(edgeImage!), acme: image(acmeImage) };
  const plan = testPlan({ gateway, host: { dataDir: lab.dir } }, undefined, { ...recipes, images });
  return plan.certificates!;
}

/** Writes what a box would write, as it would, and starts the container on the lab's network. */
export async function startCertificates(lab: Lab, plan: CertificatesPlan): Promise<void> {
  const { container, directory, writable } = plan;
  for (const one of writable) await onHost(makeWritable(edgeImage!, lab.dir, one));
  await onHost(writeDirectory(edgeImage!, lab.dir, directory), directoryInput(directory, {}));
  await lab.start("certificates", [
    ...["--network-alias", "certificates", "--user", container.user, "--init", "--read-only"],
    ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", `${container.memoryMiB}m`],
    ...Object.entries(container.tmpfs).flatMap(([path, options]) => ["--tmpfs", `${path}:${options}`]),
    ...Object.entries(container.env).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    ...container.mounts.flatMap(({ source, target, readOnly }) => [
      "--volume",
      `${source}:${target}${readOnly ? ":ro" : ""}`,
    ]),
    ...["--entrypoint", container.entrypoint[0]!, container.image, ...container.command],
  ]);
}

async function onHost(script: string, stdin?: string): Promise<void> {
  const { code, stderr } = await run("sh", ["-c", script], { stdin });
  if (code !== 0) throw new Error(stderr);
}

/** What a new connection is shown: the certificate's serial number and the protocol that was agreed on, or the error. */
export function handshake(
  port: number,
  options: { servername?: string; alpn?: string[]; maxVersion?: "TLSv1.1"; address?: string } = {},
): Promise<{ serial?: string; end?: string; protocol?: string | false | null; error?: string }> {
  const { servername = "box.example", alpn = ["http/1.1"], maxVersion, address = "127.0.0.1" } = options;
  return new Promise((resolve) => {
    const socket = connect({
      ...{ host: address, port, servername, rejectUnauthorized: false, ALPNProtocols: alpn },
      // OpenSSL's own default would refuse the old version on this side already.
      ...(maxVersion ? { minVersion: "TLSv1", maxVersion, ciphers: "DEFAULT@SECLEVEL=0" } : {}),
    });
    socket.on("secureConnect", () => {
      const { serialNumber: serial, valid_to: end } = socket.getPeerCertificate();
      resolve({ serial, end, protocol: socket.alpnProtocol });
      socket.destroy();
    });
    socket.on("error", (error) => resolve({ error: error.message }));
    socket.on("close", () => resolve({ error: "closed" }));
  });
}

/** Where pebble listens, and the port that it asks instead of 80. */
interface Pebble {
  listenAddress: string;
  managementListenAddress: string;
  httpPort: number;
}

/** Writes the files of the test authority `pebble`; what follows the options of `docker run`. */
export function pebbleFiles(dir: string, own: Pair, listens: Pebble): string[] {
  const pebble = {
    ...listens,
    certificate: "/pebble/cert.pem",
    privateKey: "/pebble/key.pem",
    tlsPort: 1,
    // Seconds: 90 days, as Let's Encrypt's.
    certificateValidityPeriod: 7_776_000,
  };
  mkdirSync(dir, { recursive: true });
  const files = {
    "config.json": JSON.stringify({ pebble }),
    "cert.pem": own.certificate,
    "key.pem": own.key,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text, { mode: 0o644 });
  const program = spawnSync("which", ["pebble"]).stdout.toString().trim();
  return [
    ...["--env", "PEBBLE_VA_NOSLEEP=1", "--env", "PEBBLE_WFE_NONCEREJECT=0"],
    ...["--volume", `${dir}:/pebble:ro`, "--volume", `${program}:/usr/local/bin/pebble:ro`],
    ...["--entrypoint", "pebble", stubImage!, "-config", "/pebble/config.json"],
  ];
}

import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Duplex } from "node:stream";
import { z } from "zod";
import { UserError } from "../process";
import { dockerArguments } from "./client";
import { PullMeter, type PullState, parsePullEvent } from "./pullEvents";

/**
 * Pulls an image through the engine's API, which says how many bytes have come; `docker pull` says that to a terminal only.
 * The CLI carries the connection, so every address works that works for it.
 *
 * @param reference `IMAGE@DIGEST`
 * @throws UserError after Ctrl-C
 * @returns false where this way is not possible or the pull failed: `docker pull` then gives the reason, or does it
 */
export async function pullThroughApi(
  host: string,
  reference: string,
  onState: (state: PullState) => void,
): Promise<boolean> {
  const [image, digest] = reference.split("@");
  if (!image || !digest || needsLogin(image)) return false;
  const child = spawn("docker", dockerArguments(host, ["system", "dial-stdio"]), {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const stopped = new Promise<boolean>((resolve) => {
    child.on("error", () => resolve(false));
    // Newer CLIs turn the signal into an exit code.
    child.on("exit", (code, signal) => resolve(signal === "SIGINT" || code === 130));
  });
  const query = new URLSearchParams({ fromImage: image, tag: digest });
  const meter = new PullMeter();
  const pulled = await new Promise<boolean>((resolve) => {
    const fail = () => resolve(false);
    child.on("error", fail);
    const call = request({
      method: "POST",
      path: `/images/create?${query}`,
      headers: { host: "docker", "content-length": 0, connection: "close" },
      createConnection: () => Duplex.from({ readable: child.stdout, writable: child.stdin }) as never,
    });
    call.on("error", fail);
    call.on("response", (answer) => {
      let failed = answer.statusCode !== 200;
      const lines = createInterface(answer);
      // Each of the two has an error of its own when the engine goes away.
      for (const one of [answer, lines]) one.on("error", fail);
      lines.on("line", (line) => {
        const event = parsePullEvent(line);
        if (!event) return;
        failed ||= event.error !== undefined;
        if (!failed) onState(meter.take(event));
      });
      lines.on("close", () => resolve(!failed && answer.complete));
    });
    call.end();
  });
  child.kill();
  if (!pulled && (await stopped))
    throw new UserError("The pull was stopped.", "Run it again: the layers that have come are kept.");
  return pulled;
}

const cliConfig = z.object({
  auths: z.record(z.string(), z.unknown()).optional(),
  credHelpers: z.record(z.string(), z.unknown()).optional(),
  credsStore: z.string().optional(),
});

/** Whether the CLI may have a login for an image's registry: only the CLI reads those. */
function needsLogin(image: string): boolean {
  const path = join(process.env.DOCKER_CONFIG || join(homedir(), ".docker"), "config.json");
  if (!existsSync(path)) return false;
  try {
    const { auths, credHelpers, credsStore } = cliConfig.parse(JSON.parse(readFileSync(path, "utf8")));
    if (credsStore) return true;
    const first = image.split("/")[0] ?? "";
    const registry = image.includes("/") && /[.:]|^localhost$/.test(first) ? first : "docker.io";
    return Object.keys({ ...auths, ...credHelpers }).some((known) => known.includes(registry));
  } catch {
    return true;
  }
}

import { resolve } from "node:path";
import { connectionOf } from "../../configs/network/engine";
import { UserError } from "../../platform/process";

/** The longest path of a socket, in bytes: sun_path of unix(7) without its end. */
const LONGEST = 107;

/**
 * The engine's address for Compose. docker-compose 1.29 takes the relative path of a connection's socket for an absolute one, so it
 * gets the whole path.
 *
 * @param docker address of the engine, as everything else here takes it
 * @throws UserError where the whole path is longer than a socket's may be
 */
export function composeHost(docker: string, program: string, projectDir: string): string {
  if (program !== "docker-compose" || !connectionOf(docker)) return docker;
  const path = resolve(projectDir, docker.slice("unix://".length));
  if (Buffer.byteLength(path) <= LONGEST) return `unix://${path}`;
  throw new UserError(
    `docker-compose 1.29 cannot use the SSH connection of this project: the path of its socket, ${path}, is longer than ${LONGEST} bytes.`,
    "Install Docker's Compose plugin (`docker compose`), move the project to a shorter path, or leave out --engine compose.",
  );
}

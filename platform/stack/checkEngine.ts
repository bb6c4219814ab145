import { dockerHostName, engineAddress } from "../../configs/network/engine";
import { dockerAt } from "../docker/client";
import { describedEngine } from "../docker/engine";
import { unfitEngine } from "../docker/unfit";
import { UserError } from "../process";
import type { StackHost } from "../ssh/connection";

/** Timeout in milliseconds for the engine's answer. */
const ANSWER_MS = 30_000;

/**
 * Refuses an engine that cannot carry a box. Like `checkPlace` it blocks the event loop, and it accepts an engine that
 * does not answer.
 *
 * @throws UserError that says why, and what to do
 */
export function checkEngine(at: StackHost): void {
  const { code, stdout } = dockerAt(engineAddress(at)).runSync(["info", "--format", "{{json .}}"], ANSWER_MS);
  const engine = code === 0 ? describedEngine(stdout) : undefined;
  const [first] = engine ? unfitEngine(engine, dockerHostName(at.host.docker), at.host.arch) : [];
  if (first) throw new UserError(first.what, first.fix);
}

/**
 * Starts a request with a signal that ends it, also while its answer's body is read. `AbortSignal.timeout` alone keeps no
 * process alive: Node's `fetch` has no socket left when a server accepts and closes at once, as SSH does for a port where
 * nobody listens, and the program would end in the middle of its work.
 *
 * @param timeoutMs milliseconds from now until the signal
 */
export async function within<Answer>(
  timeoutMs: number,
  request: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  // Later than the signal, whose own timer may fire a little late.
  const alive = setTimeout(() => {}, timeoutMs + 1_000);
  try {
    return await request(AbortSignal.timeout(timeoutMs));
  } finally {
    clearTimeout(alive);
  }
}

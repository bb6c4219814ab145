"""Sleep and wake of a vLLM that a group loads on demand (assets/backend/seat.sh), without its development routes.

Those routes ask for no key, listen where the API does, and one of them runs any method of a worker. So vLLM's development mode stays
off. This is a middleware of its API server (`--middleware gpubox_sleep.Sleep`) that answers no request: it listens on a socket in the
container's own file system, which no network reaches. There it takes one order a connection, a line:

    sleep LEVEL     level 1 keeps the weights in the host's memory, level 2 keeps none
    wake LEVEL      the level that it sleeps at

and answers `done`, or why not. As a program it is the other end: `python3 gpubox_sleep.py sleep 1`.
"""
import asyncio
import contextlib
import os
import socket
import sys

SOCKET = "/tmp/gpubox-sleep"
DONE = "done"


class Sleep:
    """Passes everything on. vLLM has its engine ready by the time that the server starts up."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "lifespan":
            return await self.app(scope, receive, send)
        state = scope["app"].state
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET)
        async with await asyncio.start_unix_server(lambda *way: answer(state.engine_client, *way), SOCKET):
            await self.app(scope, receive, send)


async def answer(engine, reader, writer):
    try:
        order, level = (await reader.readline()).decode().split()
        await {"sleep": sleep, "wake": wake}[order](engine, int(level))
        said = DONE
    except Exception as problem:
        said = f"{type(problem).__name__}: {problem}".replace("\n", " ")
    writer.write(f"{said}\n".encode())
    writer.close()


async def sleep(engine, level):
    await engine.sleep(level)
    if not await engine.is_sleeping():
        raise RuntimeError("it is still awake")


async def wake(engine, level):
    if level == 1:
        await engine.wake_up()
    else:
        # The weights are read again into the memory that they had, before the cache takes its own.
        await engine.wake_up(["weights"])
        await engine.collective_rpc("reload_weights")
        await engine.wake_up(["kv_cache"])
    if await engine.is_sleeping():
        raise RuntimeError("it still sleeps")


def main(words):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(SOCKET)
        connection.sendall(f"{' '.join(words)}\n".encode())
        said = connection.makefile().readline().strip()
    if said != DONE:
        sys.exit(f"gpubox: vLLM does not {words[0]}: {said or 'it ended'}")


if __name__ == "__main__":
    main(sys.argv[1:])

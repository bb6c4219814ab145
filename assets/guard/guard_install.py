"""Brings the guard into a LiteLLM proxy that is starting. What cannot be brought in raises: the gateway does not start."""

import gc
import os

import orjson
from litellm.integrations.custom_logger import CustomLogger

import guard_affinity
import guard_cache
import guard_counts
import guard_redirects
import guard_streams
from guard_body import Rules
from guard_front import Front

installed = None


def install(directory):
    """Once a process, however often LiteLLM reads its config."""
    global installed
    if installed is None:
        import litellm.proxy.proxy_server as server

        with open(os.path.join(directory, "guard.json"), "rb") as file:
            rules = Rules(orjson.loads(file.read()))
        guard_redirects.install()
        guard_streams.install()
        guard_counts.install()
        guard_cache.install(rules.cache)
        guard_affinity.install(rules.affinity)
        _stand_in_front(server.app, rules)
        # `sitecustomize.py` turned it off for the imports. They stay, so no collection has to look through them.
        gc.freeze()
        gc.enable()
        installed = CustomLogger()
    return installed


def _stand_in_front(app, rules):
    # LiteLLM reads its config while the application starts, when its layers are already built. Its own hooks come too late:
    # by then it has obeyed parts of the body.
    if app.middleware_stack is None:
        app.middleware_stack = app.build_middleware_stack()
    app.middleware_stack = Front(app.middleware_stack, rules, _is_ending())


def _is_ending():
    """LiteLLM's own word for whether it drains; None in a version that has none."""
    try:
        from litellm.proxy.shutdown.graceful_shutdown_manager import GracefulShutdownManager
    except ImportError:
        return None
    return GracefulShutdownManager.is_shutting_down

"""Brings the log into a LiteLLM proxy that is starting: its callback, and the layer in front of its application."""

import signal
import threading
import time

from litellm.integrations.custom_logger import CustomLogger

from trajectory_config import load
from trajectory_metrics import publish
from trajectory_recorder import HEADER, Recorder, told
from trajectory_store import Store

# As LiteLLM gives it to callbacks.
HEADER_NAME = HEADER.decode()

installed = None


def install(directory):
    """Once a process, however often LiteLLM reads its config. Raises where the log cannot begin: the gateway does not start."""
    global installed
    if installed is None:
        import litellm.proxy.proxy_server as server

        recorder = Recorder(None, Store(load(directory)), lambda: _model_keys(getattr(server, "llm_router", None)))
        _stand_in_front(server.app, recorder)
        _stop_with(recorder)
        publish(recorder.store)
        installed = Callback(recorder)
    return installed


def _stand_in_front(app, recorder):
    # LiteLLM reads its config while the application starts, when its layers are already built.
    if app.middleware_stack is None:
        app.middleware_stack = app.build_middleware_stack()
    recorder.app = app.middleware_stack
    app.middleware_stack = recorder


def _stop_with(recorder):
    """The web server has its handler for the stop signal by now, and goes on with it."""
    if threading.current_thread() is not threading.main_thread():
        return
    import asyncio

    loop = asyncio.get_event_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if not callable(before):
            continue

        def handle(got, frame, before=before):
            # Not in the handler: it may have interrupted a write.
            loop.call_soon_threadsafe(recorder.stop)
            before(got, frame)

        signal.signal(number, handle)


class Callback(CustomLogger):
    """LiteLLM calls these by name and with these names of arguments; it swallows what they raise."""

    def __init__(self, recorder):
        super().__init__()
        self.recorder = recorder

    def log_pre_api_call(self, model, messages, kwargs):
        call = self._call(kwargs.get("litellm_params"))
        # It is also called for requests that reach no model; those have no input for one.
        if call is not None and "complete_input_dict" in (kwargs.get("additional_args") or {}):
            call.starts.append(time.time())

    async def async_post_call_failure_deployment_hook(self, request_data, exception, call_type, fallback_depth=None):
        """Of each attempt that failed; async_log_failure_event comes for the first one only."""
        call = self._call(request_data)
        if call is None:
            return
        metadata = request_data.get("litellm_metadata") or request_data.get("metadata") or {}
        info = request_data.get("model_info") or metadata.get("model_info") or {}
        call.fail(
            {
                "at": time.time(),
                "type": type(exception).__name__,
                "message": str(exception),
                "code": _text(getattr(exception, "status_code", None)),
                "call_id": request_data.get("litellm_call_id"),
                "trace_id": request_data.get("litellm_trace_id") or metadata.get("trace_id"),
                "model_id": info.get("id"),
                "model": request_data.get("model"),
                "api_base": request_data.get("api_base"),
                "custom_llm_provider": request_data.get("custom_llm_provider") or getattr(exception, "llm_provider", None),
            }
        )

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        call = self._call(kwargs.get("litellm_params"))
        if call is not None:
            call.success = kwargs.get("standard_logging_object") or {}
            told(call)

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        call = self._call(kwargs.get("litellm_params"))
        # A failure of an attempt is known already; this one is of an answer that had begun.
        if call is not None and call.status is not None:
            call.broken = kwargs.get("standard_logging_object") or {}
            told(call)

    def _call(self, holder):
        request = (holder or {}).get("proxy_server_request") or {}
        return self.recorder.calls.get((request.get("headers") or {}).get(HEADER_NAME))


def _model_keys(router):
    """Keys of models that stand in the config itself; the router is not there yet when this is loaded."""
    if router is None:
        return None
    keys = [(model.get("litellm_params") or {}).get("api_key") for model in router.model_list]
    return [key.encode() for key in keys if isinstance(key, str)]


def _text(value):
    return None if value is None else str(value)

"""An answer that broke off stays one: LiteLLM would end it with `finish_reason: stop`, as if it were whole."""

import httpx
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from openai import AsyncStream

MESSAGE = "the server closed the stream before the answer's end"


def install():
    CustomStreamWrapper._finalize_completed_stream = _finalize(CustomStreamWrapper._finalize_completed_stream)
    AsyncStream._iter_events = _events(AsyncStream._iter_events)


def _finalize(finish):
    async def finish_whole(self, cache_hit):
        if not (self.sent_last_chunk or cache_hit or _ended(self)):
            # As LiteLLM does where the connection broke in the middle of a chunk.
            request = httpx.Request("POST", "http://server")
            self._log_stream_failure_and_raise(httpx.RemoteProtocolError(MESSAGE, request=request))
        return await finish(self, cache_hit=cache_hit)

    return finish_whole


def _ended(wrapper):
    """The server said why it ended, or that it did."""
    if wrapper.received_finish_reason is not None or wrapper.intermittent_finish_reason is not None:
        return True
    return getattr(wrapper.completion_stream, "gpubox_done", False)


def _events(events):
    async def noted(self):
        async for event in events(self):
            if event.data.startswith("[DONE]"):
                self.gpubox_done = True
            yield event

    return noted

"""The server that would answer a question counts its tokens. LiteLLM would count with a tokenizer of its own, which no model here has."""

from litellm.llms.base_llm.base_utils import BaseTokenCounter
from litellm.llms.custom_httpx.http_handler import get_async_httpx_client
from litellm.llms.vllm.common_utils import VLLMModelInfo
from litellm.types.utils import LlmProviders, TokenCountResponse

# A count is a hint. After this, LiteLLM estimates: a server that is away must not keep a client that only plans its next request.
SECONDS = 5


def install():
    counter = Counter()
    VLLMModelInfo.get_token_counter = lambda self: counter


class Counter(BaseTokenCounter):
    """Asks servers that speak Anthropic's protocol themselves: vLLM, SGLang, llama.cpp, the gateway of another box."""

    def should_use_token_counting_api(self, custom_llm_provider=None):
        return custom_llm_provider == LlmProviders.HOSTED_VLLM.value

    async def count_tokens(
        self, model_to_use, messages, contents, deployment=None, request_model="", tools=None, system=None
    ):
        params = (deployment or {}).get("litellm_params") or {}
        served = ((deployment or {}).get("model_info") or {}).get("supported_endpoints") or []
        base = params.get("api_base")
        if not (messages and base and "/v1/messages" in served):
            return None
        question = {"model": model_to_use, "messages": messages, "tools": tools, "system": system}
        key = params.get("api_key")
        said = {"request_model": request_model, "model_used": model_to_use, "tokenizer_type": "server"}
        try:
            answer = await get_async_httpx_client(llm_provider=LlmProviders.HOSTED_VLLM).post(
                f"{base.rstrip('/')}/messages/count_tokens",
                json={name: value for name, value in question.items() if value is not None},
                headers={"authorization": f"Bearer {key}"} if key else {},
                timeout=SECONDS,
            )
            return TokenCountResponse(total_tokens=int(answer.json()["input_tokens"]), **said)
        # LiteLLM warns, and estimates.
        except Exception as error:
            response = getattr(error, "response", None)
            status = getattr(response, "status_code", 502)
            return TokenCountResponse(
                total_tokens=0, error=True, error_message=type(error).__name__, status_code=status, **said
            )

"""The requests of one conversation go to one server of their model, which has the conversation's beginning in its prefix cache.

LiteLLM's own check of that name (`session_affinity`) asks before it looks for servers that can answer, and stays with one that
fails: docs/decisions/0045. Of LiteLLM are the names of sessions, the claim and its place in Redis.
"""

import hashlib
import random

from litellm.caching.affinity_cache import claim_affinity_pin
from litellm.responses.utils import ResponsesAPIRequestUtils
from litellm.router import Router
from litellm.router_utils.pre_call_checks.deployment_affinity_check import DeploymentAffinityCheck

from guard_conversation import current

_session_of = DeploymentAffinityCheck._get_session_id_from_request_kwargs
_caller_of = DeploymentAffinityCheck.get_user_key_from_request_kwargs


def install(seconds):
    """seconds: of guard.json; None where each request goes where the strategy says."""
    if seconds is None:
        return
    Router.async_get_healthy_deployments = _able(Router.async_get_healthy_deployments)
    Router.async_get_available_deployment = _staying(Router.async_get_available_deployment, seconds)


def _able(find):
    async def able(self, model, request_kwargs, *args, **kwargs):
        """Those of a model's servers that can answer, without what has failed this very request, if others are left."""
        found = await find(self, model, request_kwargs, *args, **kwargs)
        # One that was asked for by its id.
        if not isinstance(found, list):
            return found
        failed = _failed(request_kwargs)
        left = [one for one in found if _id(one) not in failed] or found
        if (conversation := current()) is not None:
            # Of servers that are equally busy, `least-busy` takes the first, and a conversation would stay there.
            conversation.able = left = random.sample(left, len(left))
        return left

    return able


def _staying(choose, seconds):
    async def staying(self, model, request_kwargs, *args, **kwargs):
        """The server that the conversation had last, if it can answer; else the strategy's choice, which it then stays with."""
        conversation = current()
        if conversation is not None:
            conversation.able = []
        chosen = await choose(self, model, request_kwargs, *args, **kwargs)
        if conversation is None or not conversation.able or len(self.get_model_ids(chosen["model_name"])) < 2:
            return chosen
        able = {_id(one): one for one in conversation.able}
        # An answer that a server keeps is known to that server only.
        previous = request_kwargs.get("previous_response_id")
        if isinstance(previous, str):
            kept = ResponsesAPIRequestUtils.get_model_id_from_response_id(previous)
            if kept in able:
                return able[kept]
        session = conversation.name or _session_of(request_kwargs) or conversation.opening
        if session is None:
            return chosen
        said = "\n".join((chosen["model_name"], _caller_of(request_kwargs) or "", session, conversation.helper))
        place = f"gpubox:conversation:{hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()}"
        claims = tuple({"model_id": one} for one in able)
        stays = await claim_affinity_pin(self.cache, place, {"model_id": _id(chosen)}, seconds, eligible_values=claims)
        return able.get(stays.get("model_id") if isinstance(stays, dict) else None, chosen)

    return staying


def _id(deployment):
    return deployment["model_info"]["id"]


def _failed(request_kwargs):
    """Ids of the servers that this request was sent to before, as LiteLLM notes them when it tries again."""
    noted = [(request_kwargs.get(name) or {}).get("previous_models") or () for name in ("litellm_metadata", "metadata")]
    return {record.get("deployment_id") for records in noted for record in records if isinstance(record, dict)}

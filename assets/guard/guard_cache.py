"""Whose cached answers a request may get: those of its own key, or of its team."""

import hashlib
import uuid

from litellm.caching.caching import Cache


def install(cache):
    """cache: of guard.json; None where no answer is cached."""
    if cache is None:
        return
    holder = {"key": _key, "team": _team, "all": lambda _: "all"}[cache["scope"]]

    def add_namespace(self, hash_hex, **kwargs):
        wishes = kwargs.get("cache") or {}
        # Not as a prefix: a client's word must not be the beginning of a key in Redis.
        said = "\n".join((hash_hex, holder(kwargs), str(wishes.get("namespace", ""))))
        digest = hashlib.sha256(said.encode()).hexdigest()
        return f"{self.namespace}:{digest}" if self.namespace else digest

    Cache._add_namespace_to_cache_key = add_namespace


def _key(kwargs):
    # Somebody of whom LiteLLM does not know the key shares with nobody.
    return _known(kwargs, "user_api_key") or f"nobody {uuid.uuid4()}"


def _team(kwargs):
    team = _known(kwargs, "user_api_key_team_id")
    return f"team {team}" if team else _key(kwargs)


def _known(kwargs, name):
    """What LiteLLM noted of the request's key; on some routes `metadata` is the client's, and `litellm_metadata` never is."""
    for source in (kwargs, kwargs.get("litellm_params") or {}):
        for field in ("litellm_metadata", "metadata"):
            value = (source.get(field) or {}).get(name)
            if isinstance(value, str) and value:
                return value
    return None

"""Anthropic's SDK: the parameters that the API defines for each route, its beta's included."""

from __future__ import annotations

from .bodies import of_classes
from .pysource import Sources
from .release import Release

KEEP = ["src/anthropic/types/*params*.py"]

CLASSES = {
    "messages": [
        ("anthropic.types.message_create_params", "MessageCreateParamsBase"),
        ("anthropic.types.message_create_params", "MessageCreateParamsStreaming"),
        ("anthropic.types.beta.message_create_params", "MessageCreateParamsBase"),
    ],
    "messages/count_tokens": [
        ("anthropic.types.message_count_tokens_params", "MessageCountTokensParams"),
        ("anthropic.types.beta.message_count_tokens_params", "MessageCountTokensParams"),
    ],
}

# A header of the SDK's, and no parameter.
HEADERS = {"betas", "anthropic_user_profile_id", "user_profile_id"}


def extract(_: Release) -> dict:
    return {}


def also(release: Release) -> dict[str, dict]:
    routes = of_classes(Sources(release, "src/"), CLASSES)
    return {
        "configs/bodies/anthropic.json": {
            "routes": {route: [one for one in names if one not in HEADERS] for route, names in routes.items()}
        }
    }

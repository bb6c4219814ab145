"""LiteLLM: the prefixes of its providers, and which of them serve which mode."""

from __future__ import annotations

import ast
import json

from . import ExtractError
from .pysource import Member, Module, Sources, evaluate
from .release import Release

KEEP = [
    "litellm/provider_endpoints_support_backup.json",
    "litellm/llms/openai_like/providers.json",
    "litellm/rerank_api/main.py",
    "litellm/images/main.py",
]

# Mode of gpubox: the endpoint's name in LiteLLM's own list, the function that serves it, and the one that chooses a provider's way.
MODES = {
    "chat": ("chat_completions", "litellm.main", "completion", "get_provider_chat_config"),
    "embedding": ("embeddings", "litellm.main", "embedding", "get_provider_embedding_config"),
    "rerank": ("rerank", "litellm.rerank_api.main", "rerank", "get_provider_rerank_config"),
    "audio_transcription": (
        "audio_transcriptions",
        "litellm.main",
        "transcription",
        "get_provider_audio_transcription_config",
    ),
    "audio_speech": ("audio_speech", "litellm.main", "speech", "get_provider_text_to_speech_config"),
    "image_generation": (
        "image_generations",
        "litellm.images.main",
        "image_generation",
        "get_provider_image_generation_config",
    ),
}


def providers(release: Release, sources: Sources) -> dict:
    """
    `prefixes`: what may stand before the slash. `modes`: those that LiteLLM's list or its code names for a mode. A provider
    that the list does not have counts as one that chats.
    """
    klass, home = sources.need("litellm.types.utils").klass("LlmProviders")
    members = [m for m in evaluate(ast.Name(klass.name), home) if isinstance(m, Member)]
    named = {member.name: str(member.value) for member in members}
    listed = json.loads(release.read("litellm/provider_endpoints_support_backup.json"))["providers"]
    prefixes = {*named.values(), *json.loads(release.read("litellm/llms/openai_like/providers.json"))}
    modes: dict[str, list[str]] = {}
    for mode, (endpoint, module, function, chooser) in MODES.items():
        by_list = {name for name, about in listed.items() if about["endpoints"].get(endpoint)}
        unlisted = prefixes - set(listed) if mode == "chat" else set()
        found = by_list | unlisted | asked(sources.need(module), function, named, sources) | chosen(sources, chooser, named)
        modes[mode] = sorted(found & prefixes)
    return {"prefixes": sorted(prefixes), "modes": modes}


def asked(module: Module, function: str, named: dict[str, str], sources: Sources) -> set[str]:
    """Providers that a function compares its own with."""
    found: set[str] = set()
    for node in ast.walk(module.function(function)):
        if isinstance(node, ast.Compare) and "custom_llm_provider" in ast.unparse(node.left):
            for one in node.comparators:
                found |= values(one, named, sources)
    if not found:
        raise ExtractError(f"{module.path}: {function} asks for no provider")
    return found


def values(node: ast.AST, named: dict[str, str], sources: Sources) -> set[str]:
    """The texts, members of the enum and lists of providers in an expression."""
    found: set[str] = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            found.add(one.value)
        if isinstance(one, ast.Attribute) and one.attr in named:
            found.add(named[one.attr])
        name = one.attr if isinstance(one, ast.Attribute) else one.id if isinstance(one, ast.Name) else ""
        if name in ("openai_compatible_providers", "OPENAI_AUDIO_TRANSCRIPTION_PROVIDERS"):
            constants = sources.need("litellm.constants")
            found |= {"openai", *evaluate(constants.need("openai_compatible_providers")[0], constants)}
        if name == "AZURE_OPENAI_AUDIO_PROVIDERS":
            found |= {"azure", "azure_ai"}
    return found


def chosen(sources: Sources, function: str, named: dict[str, str]) -> set[str]:
    """Providers with a way of their own."""
    for node in ast.walk(sources.need("litellm.utils").tree):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return {named[one.attr] for one in ast.walk(node) if isinstance(one, ast.Attribute) and one.attr in named}
    return set()

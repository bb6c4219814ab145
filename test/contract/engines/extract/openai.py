"""OpenAI's SDK: the parameters that the API defines for each route."""

from __future__ import annotations

from .bodies import of_classes
from .pysource import Sources
from .release import Release

KEEP = ["src/openai/types/*params*.py"]

CLASSES = {
    "chat/completions": [
        ("openai.types.chat.completion_create_params", "CompletionCreateParamsBase"),
        ("openai.types.chat.completion_create_params", "CompletionCreateParamsStreaming"),
    ],
    "completions": [
        ("openai.types.completion_create_params", "CompletionCreateParamsBase"),
        ("openai.types.completion_create_params", "CompletionCreateParamsStreaming"),
    ],
    "embeddings": [("openai.types.embedding_create_params", "EmbeddingCreateParams")],
    "responses": [
        ("openai.types.responses.response_create_params", "ResponseCreateParamsBase"),
        ("openai.types.responses.response_create_params", "ResponseCreateParamsStreaming"),
    ],
    "responses/input_tokens": [("openai.types.responses.input_token_count_params", "InputTokenCountParams")],
    "responses/compact": [("openai.types.responses.response_compact_params", "ResponseCompactParams")],
    "audio/speech": [("openai.types.audio.speech_create_params", "SpeechCreateParams")],
    "audio/transcriptions": [
        ("openai.types.audio.transcription_create_params", "TranscriptionCreateParamsBase"),
        ("openai.types.audio.transcription_create_params", "TranscriptionCreateParamsStreaming"),
    ],
    "audio/translations": [("openai.types.audio.translation_create_params", "TranslationCreateParams")],
    "images/generations": [
        ("openai.types.image_generate_params", "ImageGenerateParamsBase"),
        ("openai.types.image_generate_params", "ImageGenerateParamsStreaming"),
    ],
    "images/edits": [
        ("openai.types.image_edit_params", "ImageEditParamsBase"),
        ("openai.types.image_edit_params", "ImageEditParamsStreaming"),
    ],
    "moderations": [("openai.types.moderation_create_params", "ModerationCreateParams")],
}


def extract(_: Release) -> dict:
    return {}


def also(release: Release) -> dict[str, dict]:
    return {"configs/bodies/openai.json": {"routes": of_classes(Sources(release, "src/"), CLASSES)}}

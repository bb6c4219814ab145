"""Removes cached answers from the Redis of a gateway, asked from inside its container by `gpubox cache clear`.

LiteLLM keeps limits and the router's state under the same namespace. An answer is told from them by its name, the namespace
and a SHA-256, and by how its value begins; see _add_namespace_to_cache_key in litellm/caching/caching.py.

Takes the namespace in GPUBOX_NAMESPACE, prints {"removed": count}. Never prints a secret or an answer.
"""

import json
import os
import re
import sys

import redis

BATCH = 500

namespace = os.environ.get("GPUBOX_NAMESPACE", "")
prefix = f"{namespace}:" if namespace else ""
# A request may name a namespace of its own below it.
answer = re.compile(rf"{re.escape(prefix)}(?:.+:)?[0-9a-f]{{64}}".encode())
pattern = re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"


def remove(client, keys):
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.getrange(key, 0, 12)
        starts = pipe.execute(raise_on_error=False)
    answers = [key for key, start in zip(keys, starts) if start == b'{"timestamp":']
    return client.unlink(*answers) if answers else 0


try:
    client = redis.Redis(
        host=os.environ["REDIS_HOST"],
        port=int(os.environ.get("REDIS_PORT", "6379")),
        username=os.environ.get("REDIS_USERNAME") or None,
        password=os.environ.get("REDIS_PASSWORD") or None,
        db=int(os.environ.get("REDIS_DB") or 0),
        ssl=os.environ.get("REDIS_SSL") == "true",
        socket_timeout=30,
        socket_connect_timeout=5,
    )
    removed, keys = 0, []
    for key in client.scan_iter(match=pattern, count=1000):
        if answer.fullmatch(key):
            keys.append(key)
        if len(keys) == BATCH:
            removed += remove(client, keys)
            keys = []
    if keys:
        removed += remove(client, keys)
except redis.RedisError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
print(json.dumps({"removed": removed}))

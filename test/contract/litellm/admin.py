"""
Prints what LiteLLM's own OpenAPI says of the admin routes that gpubox calls: path, method, query parameters, and the fields of
the body with their types. Runs where LiteLLM is installed; `test/e2e/litellmAdmin.test.ts` compares with `admin.json`.
"""

import json
from importlib.metadata import version

from litellm import constants
from litellm.proxy._types import LiteLLM_TeamTable, LiteLLM_UserTable, UserAPIKeyAuth
from litellm.proxy.proxy_server import app

ROUTES = [
    ("get", "/key/list"),
    ("post", "/key/generate"),
    ("post", "/key/update"),
    ("post", "/key/delete"),
    ("get", "/team/list"),
    ("post", "/team/new"),
    ("post", "/team/update"),
    ("post", "/team/delete"),
    ("post", "/team/member_add"),
    ("post", "/team/member_delete"),
    ("get", "/user/list"),
    ("post", "/user/new"),
    ("post", "/user/update"),
    ("post", "/user/delete"),
]


def types(schema):
    """`number`, `array`, … of a field; `null` where it may be unset."""
    return sorted({one.get("type", "object") for one in schema.get("anyOf") or [schema]})


def route(document, method, path):
    operation = document["paths"][path][method]
    found = {"method": method.upper(), "path": path}
    query = [p for p in operation.get("parameters", []) if p["in"] == "query"]
    if query:
        found["query"] = {p["name"]: types(p["schema"]) for p in query}
    if "requestBody" in operation:
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
        schema = document["components"]["schemas"][name]
        found["body"] = {field: types(inner) for field, inner in schema["properties"].items()}
        found["required"] = schema.get("required", [])
    return found


document = app.openapi()
print(
    json.dumps(
        {
            "version": version("litellm"),
            "minimumKeyLength": constants.MINIMUM_CUSTOM_KEY_LENGTH,
            "routes": [route(document, *one) for one in ROUTES],
            # What lists hold is not in the OpenAPI; the classes know it.
            "key": sorted(UserAPIKeyAuth.model_fields),
            "team": sorted(LiteLLM_TeamTable.model_fields),
            "user": sorted(LiteLLM_UserTable.model_fields),
        },
        indent=1,
    )
)

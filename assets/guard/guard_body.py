"""What a request's body may say: pure, no LiteLLM in it."""

import re

# What `cache` may say of an answer, each with the test of its value.
_SWITCHES = frozenset(["use-cache", "no-cache", "no-store"])
_TIMES = frozenset(["ttl", "s-maxage", "s-max-age"])
_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# What a provider is asked for as it is: nothing that leads out of the path in which it may stand.
_ONE_OF_MANY = re.compile(r"(?!.*(\.\.|//))[A-Za-z0-9][A-Za-z0-9._:/@+\[\]-]{0,255}")
# A name in a message is the client's own text.
_LONGEST_NAME = 64


class Refused(Exception):
    """Why a request goes no further. `param`: what of it."""

    def __init__(self, message, param=None):
        super().__init__(message)
        self.param = param


class Route:
    def __init__(self, name, api, keep, whole=False):
        self.name = name
        self.api = api
        self.keep = frozenset(keep)
        # LiteLLM breaks a stream of it.
        self.whole = whole


class Rules:
    """guard.json."""

    def __init__(self, values):
        self.routes = {name: Route(name, **one) for name, one in values["routes"].items()}
        self.steering = frozenset(values["steering"])
        self.prefixes = tuple(values["prefixes"])
        self.metadata = frozenset(values["metadata"])
        self.headers = frozenset(name.encode() for name in values["headers"])
        if values["unknown"] not in ("drop", "refuse"):
            raise ValueError("guard.json: unknown is drop or refuse")
        self.drops = values["unknown"] == "drop"
        self.cache = values["cache"]
        self.many = values.get("many", False)
        self.affinity = values.get("affinity")

    def steers(self, name):
        """Whether LiteLLM itself would obey a parameter."""
        return name in self.steering or name.startswith(self.prefixes)


def look(body, route, rules):
    """The body as it may go on: the same object where nothing is left out. Raises Refused."""
    if not isinstance(body, dict):
        raise Refused("The body has to be a JSON object.")
    strange = [name for name in body if name not in route.keep]
    for name in strange:
        _refuse_strange(name, rules)
    kept = {name: value for name, value in body.items() if name in route.keep} if strange else body
    _look_at_model(kept, rules)
    if route.whole and kept.get("stream") not in (None, False, "false"):
        raise Refused("This route answers in one piece: leave stream out.", "stream")
    if "metadata" in kept:
        kept = _with(kept, "metadata", _metadata(kept["metadata"], rules))
    if "cache" in kept:
        kept = _with(kept, "cache", _cache(kept["cache"], rules.cache))
    for name in ("litellm_session_id", "litellm_trace_id"):
        if not isinstance(kept.get(name), (str, type(None))):
            raise Refused(f"{name} has to be a text.", name)
    return kept


def look_at_form(fields, route, rules):
    """The same for a form's fields, (name, value) each. Nothing can be left out of a form, so what is strange is refused."""
    for name, value in fields:
        if name not in route.keep:
            _refuse_strange(name, rules)
            raise _unknown(name)
        look({name: value}, route, rules)


def _refuse_strange(name, rules):
    if name == "extra_body":
        raise Refused("extra_body is of SDKs: write what it holds beside `model`.", name)
    if rules.steers(name):
        raise Refused(f"{_quoted(name)} would steer the gateway and is not taken from a request.", name[:_LONGEST_NAME])
    if not rules.drops:
        raise _unknown(name)


def _unknown(name):
    return Refused(
        f"{_quoted(name)} is no parameter of this route that an API or an engine defines. "
        "Where a server takes it, its operator can allow it: gpubox:gateway.allowParameters.",
        name[:_LONGEST_NAME],
    )


def _quoted(name):
    return f'"{name[:_LONGEST_NAME]}"'


def _with(body, name, value):
    """`body` with another value, or without it where that is None; the same object where nothing changes."""
    if value is None:
        return {other: kept for other, kept in body.items() if other != name}
    return body if value is body[name] else {**body, name: value}


def _look_at_model(body, rules):
    model = body.get("model")
    if model is None:
        return
    if not isinstance(model, str):
        raise Refused("model has to be the name of one model.", "model")
    # LiteLLM would ask all of them.
    if "," in model:
        raise Refused("model has to be the name of one model, and no name has a comma.", "model")
    if rules.many and not _ONE_OF_MANY.fullmatch(model):
        raise Refused("model holds what no name of a model has.", "model")


def _metadata(metadata, rules):
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise Refused("metadata has to be an object.", "metadata")
    strange = [name for name in metadata if name in rules.metadata or name.startswith(rules.prefixes)]
    if not strange:
        return metadata
    if not rules.drops:
        raise Refused(f"metadata.{strange[0][:_LONGEST_NAME]} would steer the gateway.", "metadata")
    return {name: value for name, value in metadata.items() if name not in strange}


def _cache(wishes, cache):
    if wishes is None or cache is None:
        # No answer is cached, so there is nothing to wish for.
        return None
    if not isinstance(wishes, dict):
        raise Refused("cache has to be an object.", "cache")
    for name, value in wishes.items():
        if name in _SWITCHES:
            good = isinstance(value, bool)
        elif name in _TIMES:
            good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= cache["ttlSeconds"]
        else:
            good = name == "namespace" and isinstance(value, str) and _NAMESPACE.fullmatch(value) is not None
        if not good:
            raise Refused(
                f"cache.{name[:_LONGEST_NAME]} is not taken: a request may say use-cache, no-cache and no-store (true or false), "
                f"namespace (letters, digits and _ . -) and ttl, s-maxage (seconds, at most {cache['ttlSeconds']}).",
                "cache",
            )
    return wishes

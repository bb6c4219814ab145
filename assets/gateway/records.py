"""What access.py and people.py have in common: the records of LiteLLM's admin API that belong to one stack."""
import json
import urllib.parse

from prove import Failed, answered

PAGE = 100


def mark(record):
    """What these scripts wrote into the metadata of a record, or an empty mapping."""
    metadata = record.get("metadata") or {}
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except ValueError:
            return {}
    own = metadata.get("gpubox") if isinstance(metadata, dict) else None
    return own if isinstance(own, dict) else {}


def same(name, wanted, found):
    if name == "models":
        return sorted(wanted) == sorted(found or [])
    if isinstance(wanted, (int, float)) and isinstance(found, (int, float)):
        return abs(wanted - found) < 1e-9
    # A team or key without a limit is one with null; an empty text stands for null in old rows.
    return wanted == found or (wanted is None and found == "")


def changes(fields, found):
    return {name: value for name, value in fields.items() if not same(name, value, found.get(name))}


def given(fields):
    """Without what is not set: a new record has no limits by itself."""
    return {name: value for name, value in fields.items() if value is not None and value != []}


class Records:
    """Calls of the admin API for one stack. What failed is kept by name; `secrets` are never shown."""

    def __init__(self, gateway, stack, secrets):
        self.gateway = gateway
        self.stack = stack
        self.secrets = [gateway.key, *secrets]
        self.failures = []
        # A call failed for the gateway's or the database's sake, and not for what it asked.
        self.unsettled = False

    def is_own(self, record):
        return mark(record).get("stack") == self.stack

    def hidden(self, text):
        for secret in self.secrets:
            text = text.replace(secret, "[key]")
        return text[:400]

    def call(self, what, method, path, body=None):
        """One call. True when it was done; what failed is remembered by name."""
        status, answer = self.gateway.request(method, path, body)
        if status == 200:
            print(what, flush=True)
            return True
        self.failures.append(f"{what}: {self.hidden(answered(status, answer))}")
        self.unsettled = self.unsettled or status >= 500
        return False

    def listed(self, path, **query):
        status, answer = self.gateway.request("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path)
        if status != 200:
            raise Failed(f"LiteLLM did not answer {path}: {self.hidden(answered(status, answer))}")
        return answer

    def pages(self, path, field, **query):
        """Every record of a list that comes in pages."""
        page = 1
        while True:
            answer = self.listed(path, page=page, **query)
            yield from answer[field]
            if page >= (answer.get("total_pages") or 1):
                return
            page += 1

    def keys(self, **which):
        return self.pages("/key/list", "keys", size=PAGE, return_full_object="true", **which)

    def end_key(self, token, alias):
        """LiteLLM tells the other gateways of a changed key and not of a deleted one, which they would take from memory for a minute."""
        status, _ = self.gateway.request("POST", "/key/update", {"key": token, "duration": "1s"})
        if status != 200:
            print(f"the key {alias} did not expire first: other gateways may accept it for a minute", flush=True)

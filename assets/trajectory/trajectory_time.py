"""How the log tells the time."""

import math
from datetime import datetime, timezone

# The last whole second that was told, and its text: a busy gateway tells the same one often.
_last = (None, "")


def iso(seconds):
    """UTC with microseconds: lines of several containers are ordered by it."""
    global _last
    fraction, whole = math.modf(seconds)
    microseconds = round(fraction * 1e6)
    if not 0 <= microseconds < 1_000_000:
        whole, microseconds = whole + 1, 0
    known, text = _last
    if known != whole:
        text = datetime.fromtimestamp(whole, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
        _last = (whole, text)
    return f"{text}.{microseconds:06d}Z"

"""How the log tells the time."""

from datetime import datetime, timezone


def iso(seconds):
    """UTC with microseconds: lines of several containers are ordered by it."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")

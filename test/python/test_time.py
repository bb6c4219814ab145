"""Times and ids in the log."""

import random
import uuid
from datetime import datetime, timezone

from trajectory_call import _uuid4
from trajectory_time import iso

RANDOM = random.Random(7)


def test_are_what_python_says_of_them():
    odd = [0.0, 1.0, 1.9999994, 1.9999996, 1763756000.0000005, 1763756000.9999998, 951782399.25, 4102444799.9999999]
    for seconds in odd + [RANDOM.uniform(0, 4e9) for _ in range(500)]:
        said = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
        # Twice: the second one is told from memory.
        assert [iso(seconds), iso(seconds)] == [said, said]


def test_are_told_right_when_they_alternate():
    assert [iso(seconds)[17:] for seconds in (1.5, 2.5, 1.5)] == ["01.500000Z", "02.500000Z", "01.500000Z"]


def test_ids_are_uuids_of_their_own():
    ids = [_uuid4() for _ in range(5000)]
    assert len(set(ids)) == len(ids)
    assert {(str(uuid.UUID(one)) == one, uuid.UUID(one).version, uuid.UUID(one).variant) for one in ids} == {
        (True, 4, uuid.RFC_4122)
    }

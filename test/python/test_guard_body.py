import copy
import json
import math

import orjson
import pytest
from guard import KEEP, rules
from hypothesis import given
from hypothesis import strategies as st

from guard_body import Refused, look, look_at_form

RULES = rules()
CHAT = RULES.routes["chat/completions"]
STEERING = ["api_base", "api_key", "cache_key", "headers", "_x", "litellm_metadata", "litellm_", "mock_response", "metadata[tags]"]

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
free = st.sampled_from(["model", "messages", "temperature", "stream"])
good = st.dictionaries(free, values, max_size=4).map(lambda body: {**body, "model": "m"})


@given(good)
def test_a_body_of_what_is_kept_is_the_same_object(body):
    before = copy.deepcopy(body)
    assert look(body, CHAT, RULES) is body
    assert body == before


@given(good, st.sampled_from(STEERING), values, st.integers(0, 4))
def test_what_steers_is_refused_wherever_it_stands_and_whatever_its_value_is(body, name, value, place):
    items = list(body.items())
    items.insert(place, (name, value))
    with pytest.raises(Refused) as refused:
        look(dict(items), CHAT, RULES)
    assert (name in str(refused.value), refused.value.param) == (True, name)


@given(st.dictionaries(st.text(max_size=12), values, max_size=6))
def test_what_goes_on_is_always_a_part_of_what_came_and_never_holds_another_name(body):
    before = copy.deepcopy(body)
    try:
        kept = look(body, CHAT, RULES)
    except Refused:
        kept = {}
    assert body == before
    assert set(kept) <= set(KEEP) & set(body)
    assert all(kept[name] == body[name] for name in kept if name != "metadata")


@given(st.dictionaries(st.text(max_size=12), values, max_size=6))
def test_where_nothing_is_dropped_a_body_goes_on_whole_or_not_at_all(body):
    strict = rules(unknown="refuse", cache={"scope": "key", "ttlSeconds": 60})
    try:
        assert look(body, strict.routes["chat/completions"], strict) is body
    except Refused as refused:
        assert str(refused)


@given(good, st.dictionaries(st.text(max_size=12), values, max_size=5), values)
def test_metadata_loses_what_steers_and_nothing_else(body, notes, value):
    steering = {"redis_namespace": value, "user_api_key": value, "litellm_x": value, "_y": value, "mock_z": value}
    mine = {name: note for name, note in notes.items() if name not in steering and not name.startswith(RULES.prefixes)}
    assert look({**body, "metadata": {**steering, **mine}}, CHAT, RULES)["metadata"] == mine


@given(values)
def test_a_cache_wish_goes_on_only_within_its_bounds(wish):
    try:
        kept = look({"model": "m", "cache": wish}, CHAT, RULES)
    except Refused:
        return
    if wish is None:
        assert "cache" not in kept
    else:
        assert set(wish) <= {"use-cache", "no-cache", "no-store", "namespace", "ttl", "s-maxage", "s-max-age"}


@pytest.mark.parametrize("wish", [{"ttl": 61}, {"ttl": -1}, {"ttl": True}, {"ttl": math.nan}, {"namespace": "a:b"}, {"namespace": ""},
                                  {"namespace": "a" * 65}, {"use-cache": "yes"}, {"cache_key": "x"}, [], "no-cache", 1])
def test_other_wishes_are_refused(wish):
    with pytest.raises(Refused):
        look({"model": "m", "cache": wish}, CHAT, RULES)


@pytest.mark.parametrize("wish", [{"ttl": 60, "use-cache": True}, {"namespace": "team-b"}, {"no-cache": True, "no-store": False}, {}])
def test_these_wishes_go_on(wish):
    assert look({"model": "m", "cache": wish}, CHAT, RULES)["cache"] == wish


def test_where_nothing_is_cached_no_wish_goes_on():
    without = rules(cache=None)
    assert look({"model": "m", "cache": {"use-cache": True}}, without.routes["chat/completions"], without) == {"model": "m"}


@given(values.filter(lambda model: model is not None and not isinstance(model, str)))
def test_a_model_is_one_name(model):
    with pytest.raises(Refused):
        look({"model": model}, CHAT, RULES)


@given(values.filter(lambda body: not isinstance(body, dict)))
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(Refused):
        look(body, CHAT, RULES)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=4))
def test_a_form_holds_known_fields_only(fields):
    route = RULES.routes["audio/transcriptions"]
    try:
        look_at_form(fields, route, RULES)
    except Refused:
        return
    assert {name for name, _ in fields} <= {"model", "file", "language"}


@pytest.mark.parametrize("name", ["a/../../b", "https://evil.example/v1", "a?b", "a#b", "a%2e", "a b", "a\\b", "../a", "", "a\n"])
def test_of_many_models_none_has_a_name_that_leads_elsewhere(name):
    many = rules(many=True)
    with pytest.raises(Refused):
        look({"model": name}, many.routes["chat/completions"], many)
    assert look({"model": name}, CHAT, RULES) == {"model": name}


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_:@+\[\]-]|[./](?![./])){0,60}", fullmatch=True))
def test_of_many_models_each_plain_name_is_asked_for(name):
    many = rules(many=True)
    body = {"model": name}
    assert look(body, many.routes["chat/completions"], many) is body


@given(good)
def test_the_refusal_of_a_long_name_is_short(body):
    with pytest.raises(Refused) as refused:
        look({**body, "_" * 10_000: 1}, CHAT, RULES)
    assert len(str(refused.value)) < 300 and len(refused.value.param) == 64


@given(good)
def test_both_parsers_see_the_same_body(body):
    raw = json.dumps(body).encode()
    assert orjson.loads(raw) == json.loads(raw)


@pytest.mark.parametrize("wish,taken", [(False, True), ("false", True), (None, True), (True, False), ("true", False), ("1", False)])
def test_a_route_without_streams_refuses_one(wish, taken):
    route = RULES.routes["images/edits"]
    asks = [lambda: look({"model": "m", "stream": wish}, route, RULES), lambda: look_at_form([("model", "m"), ("stream", wish)], route, RULES)]
    for ask in asks:
        if taken:
            ask()
        else:
            with pytest.raises(Refused, match="in one piece"):
                ask()
    assert look({"model": "m", "stream": wish}, CHAT, RULES) == {"model": "m", "stream": wish}

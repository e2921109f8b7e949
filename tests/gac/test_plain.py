"""Records from plain values: exactly theirs, or one line that says what is wrong."""

from dataclasses import dataclass

import pytest

from gac.errors import InputError
from gac.plain import from_plain, to_plain


@dataclass(frozen=True)
class Inner:
    number: float
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner | None
    table: dict[str, int]


@pytest.mark.parametrize("inner", [None, Inner(1.5), Inner(-0.0, ("a", "b"))])
def test_a_record_comes_back_as_it_was(inner):
    record = Outer(inner, {"x": 10**30})
    assert from_plain(Outer, to_plain(record)) == record


def test_plain_values_hold_lists_and_no_tuples():
    assert to_plain(Outer(Inner(1, ("a",)), {})) == {
        "inner": {"number": 1, "words": ["a"]},
        "table": {},
    }


def _nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def _circular():
    value = {}
    value["table"] = value
    return value


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "Outer: Input should be"),
        ([], "Outer: Input should be"),
        ({"inner": None}, "Outer: table: Field required"),
        ({"inner": None, "table": {}, "more": 1}, "Outer: more: Unexpected"),
        ({"inner": {"number": 1}, "table": {}}, r"Outer: missing inner\.words"),
        ({"inner": {"number": "1", "words": []}, "table": {}}, "inner: number: Input should be"),
        ({"inner": {"number": True, "words": []}, "table": {}}, "inner: number: Input should be"),
        ({"inner": {"number": 1, "words": [1]}, "table": {}}, "inner: words: 0: Input should be"),
        ({"inner": None, "table": {"x": 1.5}}, "table: x: Input should be"),
        ({"inner": None, "table": _nested(10**5)}, "Outer: no plain values: "),
        (_circular(), "Outer: no plain values: "),
        ({"inner": None, "table": {"x": {1}}}, "Outer: no plain values: "),
    ],
)
def test_anything_else_is_refused_in_one_line(values, message):
    with pytest.raises(InputError, match=message) as caught:
        from_plain(Outer, values)
    assert "\n" not in str(caught.value)

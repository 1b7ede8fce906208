"""One attack on the YAML reader a test: each is refused at its line and column."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import UsageError
from dataseal.verifiers.policy import load
from dataseal.verifiers.policy.problems import PolicyError, Problems
from dataseal.verifiers.policy.yamlfile import MAX_BYTES, read

Refused = Callable[..., str]
RULES = """rules:
  - {id: ours, rule: publisher, all_of: [{signers: "group:publishers"}]}
"""


def data(text: str) -> object:
    problems = Problems()
    document = read(text.encode(), "x.yaml", problems)
    problems.check()
    return document.data


def test_plain_data_keeps_its_meaning() -> None:
    text = 'a: 1\nb: [true, "true", 1.5, -3, x y]\nc: {d: 2027-06-30, e: no, f: 0x10, g: 012, h: 1_000, 1: one}\n'
    assert data(text) == {
        "a": 1,
        "b": [True, "true", 1.5, -3, "x y"],
        "c": {"d": "2027-06-30", "e": "no", "f": "0x10", "g": "012", "h": "1_000", "1": "one"},
    }


def test_block_and_quoted_scalars() -> None:
    assert data("a: |\n  x\n  y\nb: 'it''s'\nc: \"\\u0041\"\nd: >-\n  p\n  q\n") == {
        "a": "x\ny\n",
        "b": "it's",
        "c": "A",
        "d": "p q",
    }


def test_positions_of_values_and_keys() -> None:
    problems = Problems()
    document = read(b"a:\n  - {b: 1, c: two}\n", "x.yaml", problems)
    assert (document.mark(("a", 0, "c")).line, document.mark(("a", 0, "c")).column) == (2, 15)
    assert document.mark(("a", 0, "c"), key=True).column == 12
    assert document.mark(("a", 0, "missing")).column == 5  # the nearest thing around it


def test_anchor(refused: Refused) -> None:
    message = refused("description: &x hello\n" + RULES)
    assert "team.yaml:3:14: an anchor, '&x'" in message
    assert "    3 | description: &x hello\n      |              ^^^^^^^^" in message


def test_alias(refused: Refused) -> None:
    message = refused("description: &x hello\nextends: [*x]\n" + RULES)
    assert "team.yaml:4:11: an alias, '*x'" in message


def test_billion_laughs_is_refused_at_once(refused: Refused) -> None:
    laughs = "a0: &a0 [lol, lol]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
    started = time.perf_counter()
    assert "an anchor" in refused(laughs + RULES)
    assert time.perf_counter() - started < 2


def test_merge_key(refused: Refused) -> None:
    assert "unknown field '<<'" in refused("<<: {mode: audit}\n" + RULES)


@pytest.mark.parametrize("value", ["!!python/object/apply:os.system [ls]", "!!str hello", "! hello", "!x {a: 1}"])
def test_tag(refused: Refused, value: str) -> None:
    assert "team.yaml:3:14: a tag" in refused(f"description: {value}\n" + RULES)


def test_tag_on_a_key(refused: Refused) -> None:
    assert "a tag, 'tag:yaml.org,2002:str'" in refused("!!str mode: enforce\n" + RULES)


def test_duplicate_key(refused: Refused) -> None:
    message = refused("mode: enforce\nmode: audit\n" + RULES)
    assert "team.yaml:4:1: duplicate key 'mode'" in message
    assert "it stands in line 3 already" in message


def test_duplicate_key_in_a_rule(refused: Refused) -> None:
    rule = 'rules:\n  - {id: a, rule: publisher, id: b, all_of: [{signers: "group:publishers"}]}\n'
    assert "team.yaml:4:30: duplicate key 'id'" in refused(rule)


def test_two_documents(refused: Refused) -> None:
    message = refused(RULES + "---\ndataseal_policy: 1\n")
    assert "team.yaml:5:1: a second YAML document" in message


@pytest.mark.parametrize("directive", ["%YAML 1.1\n---\n", "%TAG ! tag:x,2000:\n---\n"])
def test_directive(refused: Refused, directive: str) -> None:
    assert "a YAML directive" in refused(RULES, head=directive + "dataseal_policy: 1\nname: team\n")


@pytest.mark.parametrize("value", ["", "~", "null", "Null"])
def test_key_without_a_value_is_not_a_default(refused: Refused, value: str) -> None:
    column = 10 if value else 1
    assert f"team.yaml:3:{column}: a key or an item without a value" in refused(f"expires: {value}\n" + RULES)


@pytest.mark.parametrize("key", ["? [a, b]\n: 1\n", "? {a: b}\n: 1\n"])
def test_key_that_is_no_word(refused: Refused, key: str) -> None:
    assert "a list or a mapping as a key" in refused(key + RULES)


def test_huge_file(write: Callable[..., str]) -> None:
    with pytest.raises(UsageError, match="has more than 131,072 bytes"):
        load(write(RULES + "#" * MAX_BYTES))
    with pytest.raises(PolicyError, match=r"131,073 bytes; a policy has at most 131,072"):
        read(b"#" * (MAX_BYTES + 1), "x.yaml", Problems())


def test_largest_file_is_read_within_bounds(refused: Refused) -> None:
    started = time.perf_counter()
    assert "mistakes" in refused("rules:\n" + "  - {id: x, rule: y, zz: [1, 2]}\n" * 3000)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting(refused: Refused, opening: str) -> None:
    started = time.perf_counter()
    head = "deep:\n  " if opening in ("- ", "? ") else "deep: "
    message = refused(head + opening * 20_000 + "\n" + RULES)
    assert "nested deeper than 16 levels" in message or "as a key" in message
    assert time.perf_counter() - started < 5


def test_depth_of_a_real_policy_is_far_below_the_bound() -> None:
    assert data("[" * 16 + "]" * 16) is not None
    with pytest.raises(PolicyError, match="nested deeper"):
        data("[" * 18 + "]" * 18)


def test_not_yaml_says_where(refused: Refused) -> None:
    assert "team.yaml:5:" in (message := refused("rules:\n  - {id: a, rule: publisher\n"))
    assert "not YAML" in message


def test_tab_as_indent(refused: Refused) -> None:
    assert "not YAML" in refused("rules:\n\t- {id: a}\n")


def test_not_utf8() -> None:
    problems = Problems()
    with pytest.raises(PolicyError, match=r"x\.yaml:2:1: not UTF-8: byte 5 of the file is 0xff"):
        read(b"a: 1\n\xff: 2\n", "x.yaml", problems)


@pytest.mark.parametrize("char", ["\x00", "\x1b", "\x85", "\u202e", "\u2066", "\u2028", "\ufeff"])
def test_invisible_characters(refused: Refused, char: str) -> None:
    message = refused(f"description: a{char}b\n" + RULES)
    assert f"team.yaml:3:15: the invisible character U+{ord(char):04X}" in message
    assert char not in message


def test_byte_order_mark_at_the_start_is_allowed() -> None:
    assert data("\ufeffa: 1\n") == {"a": 1}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\n\n"])
def test_empty_file(text: str) -> None:
    with pytest.raises(PolicyError, match="an empty file is no policy"):
        data(text)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_editors_count_them(refused: Refused, newline: str) -> None:
    body = ("mode: enforced\n" + RULES).replace("\n", newline)
    message = refused(body, head="dataseal_policy: 1\nname: team\n".replace("\n", newline))
    assert "team.yaml:3:7: unknown value 'enforced'" in message
    assert "    3 | mode: enforced\n" in message


@given(st.text(max_size=60) | st.text(alphabet="{}[]:,-?&*!|>'\"%#\n \tab01", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No other exception; a document that has problems is never handed out unseen."""
    problems = Problems()
    with contextlib.suppress(PolicyError):
        document = read(text.encode("utf-8", "surrogatepass"), "x.yaml", problems)
        assert problems or document.data is not None


@given(st.recursive(
    st.booleans() | st.integers(-(10**17), 10**17) | st.text("abc é", min_size=1, max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_json_means_what_json_means(value: object) -> None:
    """A second mind: every JSON document is YAML, and json reads it the same."""
    import json

    assert data(json.dumps(value)) == value

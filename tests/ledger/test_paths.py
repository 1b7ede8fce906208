from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import FormatError
from dataseal.ledger.paths import MAX_PATH_BYTES, check_path, check_unique, sort_key
from support.errors import refused


@pytest.mark.parametrize(
    "path",
    [
        "data/train-00000.parquet",
        "a",
        "..a",
        "a..",
        "...",
        "a b/c d",
        "lang=en/part[1].parquet",
        "日本語/データ",
        'quo"te',
        "it's",
        "x/.dataseal/y",
        ".git/config",
        "x/.git/config",
        ".gitattributes",
        ".dataseal.txt",
        "é",
        "e\u0301",
        "😀",
        "a" * MAX_PATH_BYTES,
    ],
)
def test_legal_paths_pass(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("", "0 bytes"),
        ("/data/x", "normalised"),
        ("data//x", "normalised"),
        ("./x", "normalised"),
        ("x/.", "normalised"),
        ("a/../x", "normalised"),
        ("..", "normalised"),
        (".", "normalised"),
        ("x/", "normalised"),
        ("a\\x", "backslash"),
        ("..\\x", "backslash"),
        ("x\n", "control"),
        ("x\0y", "control"),
        ("x\x7f", "control"),
        ("x\x85", "control"),
        ("x\u2028", "separator"),
        ("x\u2029y", "separator"),
        ("\x1b[31m", "control"),
        ("x\ud800", "UTF-8"),
        ("a" * (MAX_PATH_BYTES + 1), "bytes"),
        ("é" * (MAX_PATH_BYTES // 2 + 1), "bytes"),
        (".dataseal", ".dataseal/"),
        (".dataseal/shards.parquet", ".dataseal/"),
        (".DataSeal/x", ".dataseal/"),
        (".DATASEAL", ".dataseal/"),
    ],
)
def test_each_rule_refuses_with_its_name(path: str, rule: str) -> None:
    with refused(FormatError, rule, "rename the file"):
        check_path(path)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", "a"),
        ("A", "a"),
        ("data/X.parquet", "DATA/x.parquet"),
        ("é", "e\u0301"),
        ("É", "e\u0301"),
        ("straße", "STRASSE"),
        ("ﬁle", "FILE"),
        ("Å", "\u212b"),
        ("ς", "Σ"),
        ("α\u0345", "\u1fb3"),
    ],
)
def test_paths_that_one_file_system_takes_for_the_same_are_refused(first: str, second: str) -> None:
    with refused(FormatError, repr(first), repr(second), "rename"):
        check_unique([first, second])


@pytest.mark.parametrize("paths", [["a", "a/b"], ["a/b", "a"], ["x/y/z", "X/Y"], ["é/f", "e\u0301"]])
def test_a_path_that_is_a_file_and_a_folder_is_refused(paths: list[str]) -> None:
    with refused(FormatError, "is a file, and a folder of"):
        check_unique(paths)


def test_neighbours_that_share_a_prefix_are_apart() -> None:
    check_unique(["a/b", "a/c", "a.b", "ab", "a/bc/d", "b"])


def test_a_hundred_thousand_paths_of_many_folders_are_checked_in_one_pass() -> None:
    check_unique(f"{n % 7}/{n % 101}/deep/deep/deep/{n}" for n in range(100_000))


def test_order_is_that_of_bytes_and_not_of_utf_16() -> None:
    assert sorted(["😀", "\uffee", "z", "Z"], key=sort_key) == ["Z", "z", "\uffee", "😀"]


@given(st.text(max_size=30))
def test_an_accepted_path_has_one_meaning(path: str) -> None:
    try:
        check_path(path)
    except FormatError:
        return
    assert path.encode("utf-8").decode("utf-8") == path
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/"))
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in path)
    assert "\\" not in path


@given(st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=8))
def test_every_form_of_a_name_collides_with_it(name: str) -> None:
    for other in (name.upper().lower(), unicodedata.normalize("NFD", name), unicodedata.normalize("NFC", name)):
        if unicodedata.normalize("NFC", other.casefold()) == unicodedata.normalize("NFC", name.casefold()):
            with pytest.raises(FormatError):
                check_unique([name, other])

"""Help, versions and misuse."""

from __future__ import annotations

import pytest

from support.cli import dataseal, python, refused

COMMANDS = ("init", "sign", "record", "verify", "screen", "gate", "log", "ledger", "key")
SUBCOMMANDS = (("ledger", "check"), ("key", "new"), ("key", "show"), ("key", "fingerprint"), ("key", "export"))
HEAVY = (
    "pyarrow", "sqlmodel", "sqlalchemy", "sigstore", "sklearn", "scipy", "numpy", "pydantic", "cryptography", "duckdb",
    "rich", "ruamel", "huggingface_hub", "blake3",
)  # fmt: skip


def test_help_names_every_command_and_the_exit_codes() -> None:
    said = dataseal("--help")
    assert (said.code, said.err) == (0, "")
    assert all(f"\n  {name} " in said.out for name in COMMANDS)
    assert "121" in said.out


@pytest.mark.parametrize("command", [*((c,) for c in COMMANDS), *SUBCOMMANDS], ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        said = dataseal(*command, option)
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith("Usage: dataseal ")


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("ledger", "key")])
def test_every_option_of_a_command_is_explained(command: str) -> None:
    lines = dataseal(command, "--help").out.split("Options:\n", 1)[1].splitlines()
    starts = [n for n, line in enumerate(lines) if line.startswith("  -")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        words = " ".join(lines[start:end]).split("  ")
        assert any(w.strip() and not w.strip().startswith("-") for w in words), lines[start]


def test_help_loads_nothing_heavy() -> None:
    done = python(
        "import sys\n"
        "from dataseal.cli.main import _run\n"
        "for words in (['--help'], ['gate', '--help'], ['verify', '--help'], ['screen', '-h'], ['nothing']):\n"
        "    _run(words)\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert dataseal("--version").out == f"dataseal {version('dataseal')}\n"


@pytest.mark.parametrize(("typed", "meant"), [("verfy", "verify"), ("sgin", "sign"), ("leger", "ledger")])
def test_an_unknown_command_says_what_was_probably_meant(typed: str, meant: str) -> None:
    refused(dataseal(typed), 2, typed, f"Did you mean '{meant}'?")


def test_an_unknown_command_that_is_like_none() -> None:
    refused(dataseal("xyzzy"), 2, "xyzzy")


def test_an_unknown_subcommand() -> None:
    refused(dataseal("ledger", "chek"), 2, "chek", "check")


def test_no_arguments_are_answered_with_help() -> None:
    said = dataseal()
    assert said.code in (0, 2)
    assert "Commands:" in said.out + said.err


@pytest.mark.parametrize("command", ["sign", "record", "verify", "screen", "gate"])
def test_a_missing_argument_is_misuse(command: str) -> None:
    refused(dataseal(command), 2, "Missing")


def test_a_hostile_word_is_escaped_in_the_answer() -> None:
    refused(dataseal("\x1b[31mverify\n"), 2, "\\x1b[31m")
    refused(dataseal("verify", "x", "--\x1b]0;title\x07"), 2, "\\x1b]0;title")

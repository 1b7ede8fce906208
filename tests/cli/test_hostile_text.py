"""Untrusted text never reaches a terminal raw (DESIGN invariant 17). `support.cli.clean` looks at every output."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.cli.render import safe
from support.cli import PROGRAM, dataseal
from support.datasets import NAME, World, write

EVIL = [
    "\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "a\nPASSED acme/reviews@1.1.0", "a\rPASSED", "\u202egnp.exe", "\x9b31m",
    "[bold red]x[/bold red]", "[/]", "%s%n%d{0}{x}", "\u200b\u2028\u2029\ufeff", "a\tb", "\x7f\x08\x08",
]  # fmt: skip


ALL = " ".join(EVIL)


def test_file_names(world: World) -> None:
    copy = world.copy()
    for name in EVIL:
        write(copy / "data" / name, b"x")
    said = world.verify(copy)
    assert said.code == 1
    assert not any(line.startswith("PASSED") for line in said.out.splitlines())
    gate = dataseal("gate", copy, *world.gate, "--", "true")
    assert gate.code == 121
    assert not any(line.startswith("PASSED") for line in gate.err.splitlines())
    dataseal("screen", copy)


@pytest.mark.parametrize("name", [EVIL[0], EVIL[2], EVIL[4]], ids=ascii)
def test_the_name_of_a_file_to_sign(world: World, name: str) -> None:
    write(world.here / "data" / name, b"x")
    at = ("--dataset", "acme/evil", "--workspace", world.ws)
    dataseal("sign", world.here / "data", "--release", "1", *at)
    dataseal("record", "collect", "none", world.here / "data", "--reason", "r", *at)


def test_names_inside_the_seal_and_link_targets(world: World) -> None:
    copy = world.copy()
    for number, name in enumerate(EVIL):
        write(copy / ".dataseal" / name.replace("/", "_"), b"x")
        (copy / f"link{number}").symlink_to(name)
    assert world.verify(copy, "-v").code == 1


@pytest.mark.parametrize("name", [ALL.replace("/", "_"), "[bold red]x[", "%s%n%d{0}{x}"], ids=ascii)
def test_folder_names(world: World, name: str) -> None:
    copy = world.copy(name=name)
    assert world.verify(copy).code == 0
    write(copy / "dataseal.toml", b"x")
    assert world.verify(copy).code == 1
    dataseal("screen", copy)
    dataseal("screen", copy, *world.trust)
    dataseal("verify", copy / "nothing", *world.trust)
    dataseal("gate", copy, "nothing" + name, *world.gate)
    dataseal("log", "--workspace", copy)
    dataseal("init", copy / "ws")
    dataseal("key", "new", copy / "k.key")
    dataseal("key", "show", copy / "k.pub")
    dataseal("verify", copy, "--publisher", copy / "k.key", "--log", copy / "k.pub")


def test_reasons_metadata_and_tools(world: World) -> None:
    write(world.v2 / "data" / "x.bin", b"x")
    at = ("--workspace", world.ws)
    words = ("--reason", ALL, "--tool", ALL, "--param", f"k={ALL}", *at)
    assert dataseal("record", "append", f"{NAME}@head", world.v2, *words).code == 0
    assert dataseal("sign", world.v2, "--dataset", NAME, "--release", "1.2.0", "--meta", f"x={ALL}", *at).code == 0
    assert "\\x1b[2J" in dataseal("log", *at).out
    assert world.verify(world.copy(), "-v").code == 0
    assert world.verify(world.here / "copy", "--format", "json").out.isascii()


def test_exclusions(world: World) -> None:
    left_out = [w for e in EVIL for w in ("--exclude", e)]
    for name in EVIL:
        write(world.v2 / name.replace("/", "_"), b"x")
    at = ("--workspace", world.ws)
    words = (*left_out, "--exclude", "?*[!n]*", *at)
    dataseal("sign", world.v2, "--dataset", "acme/e", "--release", "1", *words)
    dataseal("verify", world.v2, *world.trust, "-v")


def test_configuration(world: World) -> None:
    config = world.ws / "dataseal.toml"
    quoted = '"' + "".join(f"\\u{ord(c):04x}" for c in ALL) + '"'
    original = config.read_text()
    for old in (
        '"ledger.sqlite"',
        '"keys/gate.key"',
        '["release", "modification", "key", "evidence"]',
        '["keys/gate.pub"]',
    ):
        config.write_text(original.replace(old, f"[{quoted}]" if old.startswith("[") else quoted))
        dataseal("log", "--workspace", world.ws)
        dataseal("gate", world.v2, *world.gate)
    config.write_text(original + f"\n[{quoted}]\n")
    assert dataseal("log", "--workspace", world.ws).code == 2


def test_a_policy_with_hostile_text(world: World) -> None:
    for text in EVIL:
        path = write(world.here / "p.yaml", f"dataseal_policy: 1\nname: {text}\n{text}: 1\n".encode())
        assert dataseal("gate", world.v2, "--policy", path, *world.gate[2:]).code == 2


def test_a_terminal_gets_colour_and_progress_but_nothing_of_the_makers(world: World) -> None:
    copy = world.copy(name="[red]x[/] [/bold]")
    write(copy / "data" / "\x1b]0;owned\x07", b"x")
    words = [PROGRAM, "gate", str(copy), *map(str, world.gate)]
    master, slave = pty.openpty()
    with subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"}) as gate:
        os.close(slave)
        shown = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:
                break
            shown += part
            if not part:
                break
    os.close(master)
    assert gate.returncode == 1
    assert b"\x1b]0;owned" not in shown
    assert b"\\x1b]0;owned\\x07" in shown
    assert b"\x1b[31m" in shown  # our own red
    assert b"Traceback" not in shown


@given(st.text())
def test_safe_text_is_one_printable_line(text: str) -> None:
    shown = safe(text)
    assert shown.isprintable()
    assert "\n" not in shown


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N", "P", "S"])))
def test_safe_leaves_plain_text_alone(text: str) -> None:
    assert safe(text, limit=10**6) == text


def test_long_text_is_cut(tmp_path: Path) -> None:
    assert len(safe("x" * 10_000)) == 2001

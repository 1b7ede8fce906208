"""A witness's folder, and the command that makes, fills, shows and serves it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dataseal.cli.commands.witness import command
from dataseal.ledger.errors import UsageError
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.witness import home
from dataseal.ledger.witness.client import Witnesses
from support.witnessing import ORIGIN, Tree, policy

NAME = "witness.example.org/w1"


def no_passphrase(_path):
    return None


def run(*args):
    result = CliRunner().invoke(command, [*map(str, args), "--format", "json"], standalone_mode=False)
    if result.exception:
        raise result.exception
    return json.loads(result.output)


@pytest.mark.parametrize("ml_dsa", [False, True])
def test_create_and_load(tmp_path, ml_dsa):
    vkeys = home.create(tmp_path / "w", NAME, ml_dsa=ml_dsa)
    assert [(parse_vkey(v).name, parse_vkey(v).TYPE) for v in vkeys] == [(NAME, 4), (NAME, 6)][: 1 + ml_dsa]
    assert (tmp_path / "w" / "witness.vkey").read_text().splitlines() == list(vkeys)
    witness = home.load(tmp_path / "w", no_passphrase)
    assert witness.vkeys == vkeys
    witness.state.close()
    keys = sorted((tmp_path / "w" / "keys").iterdir())
    assert [k.name for k in keys] == ["ed25519.key", "ml-dsa-44.key"][: 1 + ml_dsa]
    assert {k.stat().st_mode & 0o777 for k in keys} == {0o600}


def test_encrypted_keys(tmp_path):
    home.create(tmp_path, NAME, passphrase=b"secret")
    with pytest.raises(UsageError):
        home.load(tmp_path, no_passphrase)
    home.load(tmp_path, lambda _: b"secret").state.close()


@pytest.mark.parametrize("name", ["", "a b", "a+b", "https://witness.example", "x" * 256, "a\nb"])
def test_names_that_no_witness_can_have(tmp_path, name):
    with pytest.raises(UsageError):
        home.create(tmp_path / "w", name)
    assert not (tmp_path / "w").exists()


def test_a_witness_is_never_overwritten_nor_half_made(tmp_path, monkeypatch):
    home.create(tmp_path / "w", NAME)
    before = (tmp_path / "w" / "keys" / "ed25519.key").read_bytes()
    with pytest.raises(UsageError):
        home.create(tmp_path / "w", NAME)
    assert (tmp_path / "w" / "keys" / "ed25519.key").read_bytes() == before
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        home.create(tmp_path / "x", NAME)
    assert list((tmp_path / "x").iterdir()) == []


@pytest.mark.parametrize("lost", ["witness.sqlite", "keys/ed25519.key"])
def test_state_and_keys_are_never_made_anew_for_each_other(tmp_path, lost):
    home.create(tmp_path, NAME)
    (tmp_path / lost).unlink()
    with pytest.raises(UsageError):
        home.load(tmp_path, no_passphrase)
    with pytest.raises(UsageError):
        home.create(tmp_path, NAME)


def test_the_commands(tmp_path):
    folder, log = tmp_path / "w", Tree.of(5)
    (tmp_path / "log.vkey").write_text(log.signer.vkey + "\n")
    (vkey,) = run("init", folder, "--name", NAME)["vkeys"]
    assert run("add-log", folder, tmp_path / "log.vkey")["added"] is True
    assert run("add-log", folder, log.signer.vkey)["added"] is False
    witness = home.load(folder, no_passphrase)
    for tree, old in ((log, 0), (log.fork(4, 1), 5)):
        witness.add_checkpoint(tree.request(old))
    witness.state.close()
    shown = run("show", folder)
    (entry,) = shown["logs"]
    assert (shown["name"], shown["vkeys"]) == (NAME, [vkey])
    assert (entry["origin"], entry["latest"]["size"]) == (ORIGIN, 5)
    assert [e["kind"] for e in entry["evidence"]] == ["fork"]
    human = CliRunner().invoke(command, ["show", str(folder)]).output
    assert "fork: size 5" in human
    run("remove-log", folder, log.signer.vkey)
    assert run("show", folder)["logs"][0]["vkeys"] == []


@pytest.mark.parametrize("key", ["own", "witness", "no key", "binary"])
def test_keys_that_are_no_logs(tmp_path, key):
    vkey = home.create(tmp_path / "w", NAME)[0]
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    values = {"own": vkey, "witness": vkey.replace("w1", "w2"), "no key": "x", "binary": str(tmp_path / "binary")}
    with pytest.raises(UsageError):
        run("add-log", tmp_path / "w", values[key])
    with pytest.raises(UsageError):
        run("remove-log", tmp_path / "w", Tree().signer.vkey)


def test_serve_to_a_client_that_adds_a_log_meanwhile(tmp_path):
    folder, log = tmp_path / "w", Tree.of(5)
    (vkey,) = home.create(folder, NAME)
    code = f"from dataseal.cli.commands.witness import command; command(['serve', {str(folder)!r}, '--port', '0'])"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=-1, text=True)
    url = process.stderr.readline().split()[-1]

    class Key:
        pass

    Key.vkey = vkey
    client = Witnesses(policy((Key, url)))
    assert not client.ask(log.checkpoint(), log).quorum_met
    run("add-log", folder, log.signer.vkey)
    assert client.ask(log.checkpoint(), log).quorum_met
    os.kill(process.pid, signal.SIGTERM)
    journal = process.communicate(timeout=20)[1]
    assert process.returncode == 0
    assert f"{ORIGIN!r} size 5 from 0: 200" in journal

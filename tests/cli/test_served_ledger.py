"""The same commands against a ledger server: ``--ledger http://…``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli import dataseal as run
from support.served import Served, serving
from support.statements import TABLE, receipt_payload, sign_bundle
from support.workspaces import make_bench, make_dataset

NAME = "acme/served"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with serving(make_bench(tmp_path / "bench")) as server:
        yield server


def test_record_sign_log_and_gate_through_a_server(served: Served, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    workspace = served.bench.workspace.folder
    ledger = ["--workspace", str(workspace), "--ledger", served.url]
    recorded = run("record", "collect", "none", str(data), "--dataset", NAME, "--reason", "first", *ledger)
    assert recorded.code == 0, recorded.err
    assert run("sign", str(data), "--dataset", NAME, "--release", "1.0.0", *ledger).code == 0
    trust = ["--publisher", str(workspace / "keys/publisher.pub"), "--log", str(workspace / "keys/log.vkey")]
    assert run("verify", str(data), "--dataset", NAME, *trust).code == 0
    policy = ["--policy", "dataseal:baseline", "--dataset", NAME, *trust]
    assert run("gate", str(data), *policy, *ledger, "--", "true").code == 0
    kinds = [e["kind"] for e in run("log", NAME, *ledger, "--format", "json").json["entries"]]
    assert kinds == ["modification", "release", "receipt", "receipt"]
    assert run("ledger", "check", "--workspace", str(workspace)).code == 0


def test_a_command_for_the_file_says_so(served: Served) -> None:
    said = run("ledger", "stats", "--workspace", str(served.bench.workspace.folder), "--ledger", served.url)
    assert said.code == 2
    assert "is a server" in said.err
    assert "next:" in said.err


def test_a_served_log_is_checked(served: Served) -> None:
    served.bench.log.append([sign_bundle(receipt_payload(n), served.bench.gate) for n in range(300)])
    options = ["--workspace", str(served.bench.workspace.folder), "--ledger", served.url]
    said = run("ledger", "check", *options)
    assert said.code == 0, said
    assert "300 signatures" in said.out
    assert "not checked older checkpoints" in said.out
    assert said.last.startswith(f"PASSED {served.bench.log.origin}: every entry is there")


def test_a_server_is_asked_what_matches(served: Served) -> None:
    bench = served.bench
    for number in range(130):
        bench.log.append([sign_bundle(receipt_payload(number, dataset=f"acme/d{number % 2}"), bench.gate)])
    here = ["--workspace", str(bench.workspace.folder), "--ledger", served.url, "--format", "json"]

    def indexes(*options: str) -> list[int]:
        said = run("log", *options, *here)
        assert said.code == 0, said
        unproven = not options[0].startswith("acme/")
        assert ("left nothing out is not proven" in said.err) == unproven
        return [entry["index"] for entry in said.json["entries"]]

    assert indexes("--kind", "receipt") == list(range(130))
    assert indexes("--signer", str(bench.workspace.folder / "keys/gate.pub"), "-n", "3") == [127, 128, 129]
    assert indexes("--signer", bench.publisher.public.fingerprint) == []
    assert indexes("acme/d1", "--kind", "receipt", "-n", "2") == [127, 129]
    assert indexes("--subject", TABLE, "--limit", "101") == list(range(29, 130))


def test_offline_refuses_a_server(served: Served) -> None:
    options = ["--workspace", str(served.bench.workspace.folder), "--ledger", served.url, "--offline"]
    said = run("log", *options)
    assert said.code != 0
    assert "offline" in said.err


def test_a_server_that_is_gone_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with serving(make_bench(tmp_path / "bench")) as server:
        url, workspace = server.url, str(server.bench.workspace.folder)
    assert run("log", "--workspace", workspace, "--ledger", url).code == 3


def test_evidence_through_a_server(served: Served, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", shards=1)
    (tmp_path / "scan.json").write_text('{"clean": true}')
    ledger = ["--workspace", str(served.bench.workspace.folder), "--ledger", served.url]
    assert run("sign", str(data), "--dataset", NAME, "--release", "1.0.0", *ledger).code == 0
    kind = "https://example.org/scan/v1"
    said = run("attest", str(data), "--predicate", str(tmp_path / "scan.json"), "--type", kind, *ledger)
    assert said.code == 0, said.err
    listed = run("evidence", "list", f"{NAME}@1.0.0", *ledger, "--format", "json").json["evidence"]
    assert [item["type"] for item in listed] == [kind]

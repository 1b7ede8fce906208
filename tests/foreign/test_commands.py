"""The foreign tools' own commands, as their users run them, on our published log: no adapter of ours between."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from dataseal.ledger.resources import CHECKPOINT
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.tlog.proof import parse_proof, verify_proof
from foreign.logs import StaticLog
from foreign.tools import executable


def run(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


def test_aics_tlog_verifies_checkpoint_inclusion_and_consistency(signed_log: StaticLog, tmp_path: Path) -> None:
    aics = executable("aics/bin/aics-tlog")
    keys = tmp_path / "log.vkey"
    keys.write_text(signed_log.keys[0] + "\n", encoding="utf-8")
    source = ("--tiles", str(signed_log.folder), "--vkey-file", str(keys))
    for command in (("verify-checkpoint",), ("verify-inclusion", "--index", "256")):
        done = run(aics, *command, *source)
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["ok"] is True
    with_old = ("--old-checkpoint", str(signed_log.folder / CHECKPOINT))
    done = run(aics, "verify-consistency", *source, *with_old)
    assert done.returncode == 0, done.stdout + done.stderr


def test_we_verify_the_proof_file_that_tlog_tiles_makes_from_our_log(signed_log: StaticLog) -> None:
    command = executable("scales/bin/tlog-tiles")
    for index in (0, 255, 256, 299):
        made = run(command, "gen-proof", str(signed_log.folder), str(index))
        assert made.returncode == 0, made.stderr
        verified = verify_proof(parse_proof(made.stdout), signed_log.leaves[index], policy_for_log(*signed_log.keys))
        assert verified.index == index
    leaf = run(command, "get-leaf", "--check", str(signed_log.folder), "256")
    assert leaf.returncode == 0, leaf.stderr

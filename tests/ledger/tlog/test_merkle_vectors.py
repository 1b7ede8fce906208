"""Proof cases by others: transparency-dev/merkle's files where they are at hand, our second implementation's always."""

from __future__ import annotations

import base64
import json
import runpy

import pytest

from dataseal.ledger.errors import ProofInvalid
from dataseal.ledger.tlog import merkle

# Its two roots are the same 12 bytes; we demand 32 (see the vectors' README), so here we are stricter.
STRICTER = {"consistency/additional/sizes-are-equal-one-and-proof-is-empty.json"}


def holds(verify, **arguments):
    try:
        verify(**arguments)
    except ProofInvalid:
        return False
    return True


def unbase64(value):
    return base64.b64decode(value, validate=True)


def test_the_196_files_of_transparency_dev(shared_vectors):
    folder = shared_vectors / "merkle" / "testdata"
    wrong, seen = [], 0
    for path in sorted(folder.rglob("*.json")):
        case = json.loads(path.read_text(encoding="utf-8"))
        name = path.relative_to(folder).as_posix()
        proof = [unbase64(value) for value in case["proof"] or []]
        if name.startswith("inclusion"):
            accepted = holds(
                merkle.verify_inclusion,
                index=case["leafIdx"],
                size=case["treeSize"],
                leaf=unbase64(case["leafHash"] or ""),
                proof=proof,
                root=unbase64(case["root"] or ""),
            )
        else:
            accepted = holds(
                merkle.verify_consistency,
                old=case["size1"],
                new=case["size2"],
                old_root=unbase64(case["root1"] or ""),
                new_root=unbase64(case["root2"] or ""),
                proof=proof,
            )
        seen += 1
        if accepted == case["wantErr"] and name not in STRICTER:
            wrong.append((name, case["desc"], accepted))
        assert not (accepted and name in STRICTER)
    assert wrong == []
    assert seen == 196


def test_the_cases_of_the_second_implementation(vectors):
    cases = vectors("merkle.json")["cases"]
    for case in cases:
        proof = [bytes.fromhex(value) for value in case["proof"]]
        if case["kind"] == "inclusion":
            leaf, root = bytes.fromhex(case["leaf"]), bytes.fromhex(case["root"])
            accepted = holds(
                merkle.verify_inclusion,
                index=case["index"],
                size=case["size"],
                leaf=leaf,
                proof=proof,
                root=root,
            )
        else:
            accepted = holds(
                merkle.verify_consistency,
                old=case["old"],
                new=case["new"],
                old_root=bytes.fromhex(case["old_root"]),
                new_root=bytes.fromhex(case["new_root"]),
                proof=proof,
            )
        assert accepted == case["valid"], case
    assert sum(case["valid"] for case in cases) >= 40
    assert sum(not case["valid"] for case in cases) >= 196


def test_large_sizes_are_among_the_valid_cases(vectors):
    cases = [case for case in vectors("merkle.json")["cases"] if case["valid"]]
    for kind, size in (("inclusion", "size"), ("consistency", "new")):
        assert max(case[size] for case in cases if case["kind"] == kind) > 2**63
        assert any(2**32 < case[size] < 2**33 for case in cases if case["kind"] == kind)


def test_the_committed_cases_are_what_the_script_writes(vectors_folder):
    script = runpy.run_path(str(vectors_folder / "generate_merkle.py"))
    written = (vectors_folder / "merkle.json").read_text(encoding="utf-8")
    assert script["document"]() == written, "run python tests/vectors/generate_merkle.py"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_both_implementations_make_the_same_proofs(size, vectors_folder):
    script = runpy.run_path(str(vectors_folder / "generate_merkle.py"))
    entries = script["D8"][:size]
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    assert merkle.root_from_leaves(leaves) == script["MTH"](entries)
    for index in range(size):
        assert merkle.inclusion_proof(leaves, index) == script["PATH"](index, entries)
        assert merkle.consistency_proof(leaves, index + 1) == script["SUBPROOF"](index + 1, entries, True)

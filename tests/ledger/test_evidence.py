"""Evidence: foreign statements, what a log admits of them, and SLSA's published shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import evidence, slsa
from dataseal.ledger import statement as statements
from dataseal.ledger.audit import check
from dataseal.ledger.errors import FormatError, IntegrityError, Refused, SignatureInvalid, UsageError
from dataseal.ledger.statement import ATTACHED, VSA, Statement, parse
from support import statements as make
from support.errors import refused
from support.statements import sign_bundle, signer, spoil
from support.workspaces import Bench

SCAN = "https://example.org/scan/v1"
PROVENANCE = {
    "buildDefinition": {"buildType": "https://example.org/etl/v1", "externalParameters": {"source": "crawl-2026-01"}},
    "runDetails": {"builder": {"id": "https://example.org/builder"}},
}
SUMMARY = {
    "verifier": {"id": "https://example.org/verifier"},
    "timeVerified": "2026-01-02T03:04:05Z",
    "resourceUri": "pkg:generic/reviews@1.0.0",
    "policy": {"uri": "https://example.org/policy"},
    "inputAttestations": [{"uri": "https://example.org/a", "digest": {"sha256": "ab" * 32}}],
    "verificationResult": "PASSED",
    "verifiedLevels": ["SLSA_BUILD_LEVEL_3"],
    "dependencyLevels": {"SLSA_BUILD_LEVEL_0": 1},
    "slsaVersion": "1.0",
}
FOREIGN = statements.encode(
    SCAN, {"clean": True}, dataset=make.DATASET, version="1.0.0", table=make.TABLE, root=make.ROOT
)


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


# --- the statement ---


def test_a_foreign_statement_is_evidence() -> None:
    found = parse(FOREIGN)
    assert (found.kind, found.predicate_type, found.dataset) == ("evidence", SCAN, make.DATASET)


def test_its_bytes_need_not_be_canonical() -> None:
    pretty = json.dumps(json.loads(FOREIGN), indent=2).encode()
    assert parse(pretty).payload == pretty


def test_it_may_have_other_subjects_and_digests_beside() -> None:
    value = json.loads(FOREIGN)
    value["subject"][0]["digest"]["sha512"] = "00" * 64
    value["subject"][0]["mediaType"] = "application/x"
    value["subject"].append({"name": "model.bin", "digest": {"sha256": "11" * 32}})
    assert parse(dumps(value)).root == make.ROOT


def test_two_subjects_of_ours_are_ambiguous() -> None:
    value = json.loads(FOREIGN)
    with refused(FormatError, "2 subjects"):
        parse(dumps({**value, "subject": value["subject"] * 2}))


def test_a_subject_without_the_root_is_not_ours() -> None:
    with refused(FormatError, "0 subjects"):
        parse(spoil(FOREIGN, "subject", 0, "digest", "datasealRoot", to=...))


def test_a_type_of_a_newer_dataseal_is_no_evidence() -> None:
    with refused(FormatError, "unknown predicate type"):
        parse(spoil(FOREIGN, "predicateType", to="https://dataseal.invalid/release/v2"))


def test_an_attached_predicate_of_our_own_type_is_refused() -> None:
    body = {"type": statements.RELEASE, "sha256": "ab" * 32, "bytes": 7}
    payload = statements.encode(ATTACHED, body, dataset=make.DATASET, version="1.0.0", table=make.TABLE, root=make.ROOT)
    with refused(FormatError, "no foreign one"):
        parse(payload).check_predicate()


# --- the log ---


@pytest.fixture
def release(bench: Bench, dataset: Path) -> Statement:
    return bench.sign(dataset).recorded.logged.verified.statement


def attest(bench: Bench, release: Statement, value: Any, kind: str = SCAN, **more: Any) -> Any:
    arguments = {"signer": bench.publisher, "log": bench.log, "objects": bench.objects}
    return evidence.attest(release, dumps(value), kind, **(arguments | more))


def about(bench: Bench, release: Statement) -> list[evidence.Evidence]:
    with bench.log.store.view() as view:
        return list(evidence.evidence_about(view, release))


def foreign(release: Statement, **changes: Any) -> bytes:
    subject = {"dataset": release.dataset, "version": release.version, "table": release.table, "root": release.root}
    canonical = statements.encode(SCAN, {"clean": True}, **(subject | changes))
    return json.dumps(json.loads(canonical), indent=1).encode()


def test_evidence_is_logged_listed_and_the_ledger_checks(bench: Bench, release: Statement) -> None:
    made = attest(bench, release, PROVENANCE, slsa.PROVENANCE)
    assert made.logged.header.kind == "evidence"
    found = about(bench, release)
    assert [(item.index, item.predicate_type) for item in found] == [(made.logged.index, slsa.PROVENANCE)]
    assert not check(bench.log).problems


def test_the_same_evidence_twice_is_one_entry(bench: Bench, release: Statement) -> None:
    first, second = (attest(bench, release, {"clean": True}) for _ in range(2))
    assert second.existed
    assert first.logged.index == second.logged.index


def test_evidence_of_another_release_is_not_listed(bench: Bench, release: Statement, dataset: Path) -> None:
    attest(bench, release, {"clean": True})
    (dataset / "more.txt").write_text("more")
    later = bench.sign(dataset, "2.0.0").recorded.logged.verified.statement
    assert about(bench, later) == []
    assert len(about(bench, release)) == 1


def test_a_bundle_of_another_tool_is_logged_as_it_is(bench: Bench, release: Statement) -> None:
    raw = json.dumps(json.loads(sign_bundle(foreign(release), bench.publisher)), indent=2).encode()
    made = evidence.attest_bundle(raw, release, log=bench.log)
    assert made.bundle == raw
    assert [item.predicate_type for item in about(bench, release)] == [SCAN]
    assert not check(bench.log).problems


def test_a_foreign_bundle_about_another_subject(bench: Bench, release: Statement) -> None:
    raw = sign_bundle(foreign(release, version="9.9.9"), bench.publisher)
    with refused(IntegrityError, "another subject", "9.9.9"):
        evidence.attest_bundle(raw, release, log=bench.log)


def test_the_log_admits_no_evidence_about_an_unknown_state(bench: Bench, release: Statement) -> None:
    raw = sign_bundle(foreign(release, root="12" * 32), bench.publisher)
    with refused(Refused, "no recorded state"):
        bench.log.append([raw])


def test_a_foreign_bundle_by_somebody_whom_the_log_does_not_list(bench: Bench, release: Statement) -> None:
    with refused(SignatureInvalid, "no trusted key"):
        evidence.attest_bundle(sign_bundle(foreign(release), signer("stranger")), release, log=bench.log)


def test_a_foreign_bundle_by_somebody_who_is_listed_for_something_else(bench: Bench, release: Statement) -> None:
    with refused(Refused, "for a evidence"):
        evidence.attest_bundle(sign_bundle(foreign(release), bench.gate), release, log=bench.log)


def test_a_release_is_no_foreign_evidence(bench: Bench, release: Statement) -> None:
    with refused(FormatError, "no foreign evidence"):
        evidence.attest_bundle(sign_bundle(release.payload, bench.publisher), release, log=bench.log)


def test_a_truncated_bundle(bench: Bench, release: Statement) -> None:
    with refused(FormatError, "bundle"):
        evidence.attest_bundle(sign_bundle(foreign(release), bench.publisher)[:-20], release, log=bench.log)


def test_a_large_predicate_is_an_object(bench: Bench, release: Statement) -> None:
    value = {"packages": [f"package {n}" for n in range(5000)]}
    made = attest(bench, release, value)
    found = about(bench, release)[0]
    assert made.logged.verified.statement.predicate_type == ATTACHED
    assert found.predicate_type == SCAN
    assert found.attached is not None
    kept = bench.objects.get(found.attached.sha256, what="predicate")
    assert json.loads(kept) == value
    evidence.check_attached(found.attached, kept)
    with refused(IntegrityError, "not the one that was signed"):
        evidence.check_attached(found.attached, kept.replace(b"package 7", b"package 8"))


@pytest.mark.parametrize(("room", "kind"), [(0, SCAN), (1, ATTACHED)])
def test_what_fits_stays_in_the_statement(bench: Bench, release: Statement, room: int, kind: str) -> None:
    value = {"x": "y" * (evidence.MAX_INLINE - len('{"x":""}') + room)}
    assert attest(bench, release, value).logged.verified.statement.predicate_type == kind


def test_the_longest_type_and_names_fit_beside_it(bench: Bench, dataset: Path) -> None:
    name = "/".join(["n" * 49] * 4)
    long = bench.sign(dataset, "v" * 128, dataset=name).recorded.logged.verified.statement
    kind = "https://example.org/" + "t" * 480
    value = {"x": "y" * (evidence.MAX_INLINE - len('{"x":""}'))}
    assert attest(bench, long, value, kind).logged.verified.statement.predicate_type == kind


@pytest.mark.parametrize("kind", ["provenance", "", statements.RELEASE, ATTACHED, "https://a b", "https://é"])
def test_a_type_that_can_not_be_attested(bench: Bench, release: Statement, kind: str) -> None:
    with refused(UsageError, "no predicate type"):
        attest(bench, release, {"clean": True}, kind)


@pytest.mark.parametrize("data", [b"[]", b"{", b"", b'{"a":1,"a":2}', FOREIGN])
def test_a_file_that_is_no_predicate(bench: Bench, release: Statement, data: bytes) -> None:
    with pytest.raises(UsageError):
        evidence.attest(release, data, SCAN, signer=bench.publisher, log=bench.log, objects=bench.objects)


def test_a_summary_is_a_receipt_for_which_the_publisher_is_not_listed(bench: Bench, release: Statement) -> None:
    with refused(Refused, "for a receipt"):
        attest(bench, release, SUMMARY, VSA)
    assert attest(bench, release, SUMMARY, VSA, signer=bench.gate).logged.header.kind == "receipt"
    assert [item.kind for item in about(bench, release)] == ["receipt"]


# --- shapes ---


def changed(value: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    return json.loads(spoil(dumps(value), *path, to=to))  # type: ignore[no-any-return]


def test_the_published_shapes_pass_and_may_say_more() -> None:
    assert slsa.check_shape(slsa.PROVENANCE, PROVENANCE)
    assert slsa.check_shape(VSA, SUMMARY)
    assert slsa.check_shape(slsa.PROVENANCE, {**PROVENANCE, "https://example.org/more": 1})
    assert slsa.check_shape(VSA, changed(SUMMARY, "verifier", "version", to={"tool": "1"}))


def test_the_docstrings_example_is_one() -> None:
    text = (slsa.__doc__ or "").split("::\n", 1)[1].split("\n\nA shape", 1)[0]
    assert slsa.check_shape(slsa.PROVENANCE, json.loads(text))


def test_a_type_without_a_known_shape() -> None:
    assert slsa.check_shape(SCAN, {}) is False


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "no builder": (slsa.PROVENANCE, changed(PROVENANCE, "runDetails", "builder", to=...), "runDetails.builder"),
    "builder id no URI": (slsa.PROVENANCE, changed(PROVENANCE, "runDetails", "builder", "id", to="me"), "builder.id"),
    "no build type": (slsa.PROVENANCE, changed(PROVENANCE, "buildDefinition", "buildType", to=...), "buildType"),
    "parameters a list": (
        slsa.PROVENANCE, changed(PROVENANCE, "buildDefinition", "externalParameters", to=[]), "externalParameters",
    ),
    "dependency that names nothing": (
        slsa.PROVENANCE, changed(PROVENANCE, "buildDefinition", "resolvedDependencies", to=[{"name": "x"}]),
        "resolvedDependencies.0",
    ),
    "digest in upper case": (
        slsa.PROVENANCE,
        changed(PROVENANCE, "buildDefinition", "resolvedDependencies", to=[{"digest": {"sha256": "AB"}}]), "digest",
    ),
    "a time without zone": (
        slsa.PROVENANCE, changed(PROVENANCE, "runDetails", "metadata", to={"startedOn": "2026-01-02T03:04:05"}),
        "startedOn",
    ),
    "a day that is none": (VSA, changed(SUMMARY, "timeVerified", to="2026-02-30T03:04:05Z"), "timeVerified"),
    "another result": (VSA, changed(SUMMARY, "verificationResult", to="OK"), "verificationResult"),
    "no levels": (VSA, changed(SUMMARY, "verifiedLevels", to=...), "verifiedLevels"),
    "no policy": (VSA, changed(SUMMARY, "policy", to=...), "policy"),
    "no resource": (VSA, changed(SUMMARY, "resourceUri", to=...), "resourceUri"),
    "input without digest": (VSA, changed(SUMMARY, "inputAttestations", 0, "digest", to=...), "inputAttestations.0"),
    "negative count": (VSA, changed(SUMMARY, "dependencyLevels", "SLSA_BUILD_LEVEL_0", to=-1), "dependencyLevels"),
    "count as text": (VSA, changed(SUMMARY, "dependencyLevels", "SLSA_BUILD_LEVEL_0", to="1"), "dependencyLevels"),
    "the snake case of a field": (slsa.PROVENANCE, {"build_definition": {}, "run_details": {}}, "buildDefinition"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "field"), BAD.values(), ids=BAD.keys())
def test_another_shape_is_refused_by_its_field(kind: str, value: dict[str, Any], field: str) -> None:
    with refused(FormatError, field):
        slsa.check_shape(kind, value)

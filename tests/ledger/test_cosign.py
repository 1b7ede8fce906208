"""A second signer over the same statement: the walk, what the log admits, and what must not pass for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dataseal.ledger import audit, seal
from dataseal.ledger import bundle as bundles
from dataseal.ledger.admission import Admission, Rule
from dataseal.ledger.announce import announce
from dataseal.ledger.cosign import cosign
from dataseal.ledger.entry import ENDORSEMENT, check_header, parse
from dataseal.ledger.errors import FormatError, IntegrityError, Refused, SignatureInvalid, UsageError
from dataseal.ledger.judge import as_logged, judge
from dataseal.ledger.replay import open_replay
from dataseal.ledger.statement import parse as parse_statement
from dataseal.ledger.verify import verify_bundle, verify_logged
from support import statements as make
from support.errors import refused
from support.statements import sign_bundle, signer
from support.workspaces import DATASET, Bench, flip, tree, write_shard

BEN, EVE = signer("ben"), signer("eve")


@pytest.fixture
def team(bench: Bench) -> Bench:
    """A log that lists Ben as one who may endorse, and nothing else."""
    admit(bench, Rule(("acme/*",), (ENDORSEMENT,), (BEN.public,)))
    return bench


def admit(bench: Bench, *rules: Rule) -> None:
    bench.log.admission = Admission([*bench.log.admission.rules, *rules])


def kinds(bench: Bench) -> list[str]:
    with bench.log.store.view() as view:
        return [row.kind for row in view.entries()]


def clean(bench: Bench) -> None:
    """The whole ledger holds, to its operator and to a monitor."""
    assert audit.check(bench.log).problems == []
    assert audit.check(bench.log, signatures=False).problems == []


# --- the walk ---


def test_a_second_bundle_is_over_the_same_bytes_logged_and_proven(team: Bench, dataset: Path) -> None:
    first = team.sign(dataset)
    before = tree(dataset)
    made = cosign(dataset, signer=BEN, log=team.log, jobs=1)
    assert (made.number, made.signers) == (2, 2)
    raw, proof = (
        (dataset / ".dataseal" / seal.release_name(2, kind)).read_bytes() for kind in ("sigstore.json", "tlog-proof")
    )
    verified = verify_bundle(raw, [BEN.public])
    assert verified.statement.payload == first.recorded.logged.verified.statement.payload
    assert verify_logged(verified, proof, [team.log.trusted()]).header.kind == ENDORSEMENT
    assert kinds(team) == ["release", ENDORSEMENT]
    changed = {name for name, data in tree(dataset).items() if before.get(name) != data}
    assert changed == {".dataseal/release/2.sigstore.json", ".dataseal/release/2.tlog-proof"}
    clean(team)


@pytest.mark.parametrize("name", [".dataseal", ".dataseal/release", ".dataseal/history"])
def test_nothing_is_written_through_a_link(team: Bench, dataset: Path, tmp_path: Path, name: str) -> None:
    team.sign(dataset)
    outside = tmp_path / "outside"
    (dataset / name).mkdir(exist_ok=True)
    (dataset / name).rename(outside)
    (dataset / name).symlink_to(outside)
    before = tree(outside)
    with refused(UsageError, f"{name} is a symlink"):
        cosign(dataset, signer=BEN, log=team.log, jobs=1)
    assert tree(outside) == before
    assert kinds(team) == ["release"]


def test_a_run_that_is_repeated_finds_its_entry_and_its_file(team: Bench, dataset: Path) -> None:
    team.sign(dataset)
    first = cosign(dataset, signer=BEN, log=team.log, jobs=1)
    (dataset / ".dataseal" / "release" / "2.tlog-proof").unlink()
    again = cosign(dataset, signer=BEN, log=team.log, jobs=1)
    assert again.recorded.existed
    assert (again.number, again.signers) == (first.number, 2)
    assert again.recorded.bundle == first.recorded.bundle
    assert kinds(team) == ["release", ENDORSEMENT]


def test_the_publisher_cosigning_himself_adds_nobody(team: Bench, dataset: Path) -> None:
    team.sign(dataset)
    made = cosign(dataset, signer=team.publisher, log=team.log, jobs=1)
    assert (made.number, made.signers) == (1, 1)
    assert kinds(team) == ["release"]


def test_an_old_release_is_endorsed_after_newer_ones(team: Bench, dataset: Path, tmp_path: Path) -> None:
    """Nothing that asks for the newest release gets the old one for it."""
    import shutil

    team.sign(dataset)
    old = Path(shutil.copytree(dataset, tmp_path / "old"))
    write_shard(dataset / "data" / "9.parquet")
    team.sign(dataset, "1.1.0")
    cosign(old, signer=BEN, log=team.log, jobs=1)
    write_shard(dataset / "data" / "10.parquet")
    third = team.sign(dataset, "1.2.0")
    assert third.release.sequence == 3
    assert third.release.previous
    assert third.release.previous.version == "1.1.0"
    with team.log.store.view() as view:
        found = view.release(DATASET, "1.0.0")
        assert found is not None
        assert (found.index, found.kind) == (0, "release")
    clean(team)


def test_an_endorsed_modification_is_no_new_state(team: Bench) -> None:
    payload = make.modification_payload()
    team.log.append([sign_bundle(payload, team.publisher)])
    team.log.append([sign_bundle(payload, BEN)])
    assert kinds(team) == ["modification", ENDORSEMENT]
    clean(team)


def test_release_and_endorsement_go_into_one_batch(team: Bench) -> None:
    payload = make.release_payload()
    found = team.log.append([sign_bundle(payload, team.publisher), sign_bundle(payload, BEN)])
    assert [one.header.kind for one in found] == ["release", ENDORSEMENT]
    clean(team)


def test_who_may_release_may_endorse(team: Bench) -> None:
    admit(team, Rule(("acme/*",), ("release",), (EVE.public,)))
    payload = make.release_payload()
    team.log.append([sign_bundle(payload, team.publisher)])
    team.log.append([sign_bundle(payload, EVE)])
    assert kinds(team) == ["release", ENDORSEMENT]


def test_an_announced_key_travels_with_a_cosigned_release(team: Bench, dataset: Path) -> None:
    team.sign(dataset)
    admit(team, Rule(("acme/*",), ("key",), (team.publisher.public,)))
    announce(BEN.public, dataset=DATASET, reason="Ben joins", log=team.log, signer=team.publisher)
    cosign(dataset, signer=BEN, log=team.log, jobs=1)
    assert {"history/00000001.sigstore.json", "history/00000001.tlog-proof"} <= set(tree(dataset / ".dataseal"))
    clean(team)


# --- what must not pass ---


def test_an_unlisted_cosigner_is_refused_and_leaves_nothing(team: Bench, dataset: Path) -> None:
    team.sign(dataset)
    before = tree(dataset)
    with refused(SignatureInvalid, "no trusted key"):
        cosign(dataset, signer=EVE, log=team.log, jobs=1)
    assert tree(dataset) == before
    assert kinds(team) == ["release"]


def test_an_endorser_of_other_datasets_is_refused(bench: Bench, dataset: Path) -> None:
    admit(bench, Rule(("other/*",), (ENDORSEMENT,), (BEN.public,)))
    bench.sign(dataset)
    with refused(Refused, "does not list", ENDORSEMENT):
        cosign(dataset, signer=BEN, log=bench.log, jobs=1)


def test_an_endorser_can_release_nothing(team: Bench) -> None:
    """He is listed for what others released, and these bytes nobody did."""
    with refused(Refused, "does not list", "for a release"):
        team.log.append([sign_bundle(make.release_payload(), BEN)])


def test_a_cosignature_over_other_bytes_is_refused(team: Bench) -> None:
    team.log.append([sign_bundle(make.release_payload(), team.publisher)])
    with refused(Refused, "does not list", "for a release"):
        team.log.append([sign_bundle(make.release_payload(metadata={"license": "MIT"}), BEN)])
    assert kinds(team) == ["release"]


def test_files_that_changed_since_are_not_vouched_for(team: Bench, dataset: Path) -> None:
    team.sign(dataset)
    flip(dataset / "data" / "1.parquet", 100)
    before = tree(dataset)
    with refused(IntegrityError, "not those of acme/reviews@1.0.0", "nothing was signed"):
        cosign(dataset, signer=BEN, log=team.log, jobs=1)
    assert tree(dataset) == before
    assert kinds(team) == ["release"]


def test_bundles_over_two_statements_are_not_vouched_for(team: Bench, dataset: Path) -> None:
    team.sign(dataset)
    other = sign_bundle(make.release_payload("9.9.9"), EVE)
    (dataset / ".dataseal" / "release" / "2.sigstore.json").write_bytes(other)
    with refused(IntegrityError, "several statements"):
        cosign(dataset, signer=BEN, log=team.log, jobs=1)


def test_a_folder_that_nobody_signed_is_not_vouched_for(team: Bench, dataset: Path) -> None:
    with refused(UsageError, "no signed release", "sign it first"):
        cosign(dataset, signer=BEN, log=team.log, jobs=1)


def test_a_log_that_does_not_hold_the_release_refuses(team: Bench, dataset: Path) -> None:
    """A release signed elsewhere: here it would be a first release by one who may only endorse."""
    payload = bundles.parse(sign_bundle(make.release_payload(), EVE)).payload
    with refused(Refused, "does not list"):
        team.log.append([sign_bundle(payload, BEN)])


def test_a_seal_behind_a_symlink_is_not_written_to(team: Bench, dataset: Path, tmp_path: Path) -> None:
    team.sign(dataset)
    (dataset / ".dataseal").rename(tmp_path / "elsewhere")
    (dataset / ".dataseal").symlink_to(tmp_path / "elsewhere")
    with refused(UsageError, "symlink"):
        cosign(dataset, signer=BEN, log=team.log, jobs=1)


def test_a_monitor_alarms_over_an_endorsement_of_nothing(team: Bench, tmp_path: Path) -> None:
    """An operator who lies can log one; whoever follows the log sees it."""
    from dataseal.ledger.follow import Leaf, open_tree
    from dataseal.ledger.resources import StoreResources
    from dataseal.ledger.tlog.merkle import leaf_hash

    team.log.append([sign_bundle(make.release_payload(), team.publisher)])
    with team.log.store.view() as view:
        row = view.entry(0)
        assert row is not None
    forged = replace(parse(row.body).header, kind=ENDORSEMENT).encode() + b"\n" + parse(row.body).bundle
    tree = open_tree(StoreResources(team.log.store, "log"), team.log.trusted().policy)
    with open_replay() as replay:
        leaf = Leaf(index=0, leaf=leaf_hash(forged), body=forged)
        found = judge(leaf, replay, [team.publisher.public], tree, recognise=as_logged)
    assert any("only what is logged can be endorsed" in what for _, what in found.problems), found.problems


@pytest.mark.parametrize("payload", [make.receipt_payload()])
def test_a_receipt_has_no_endorsement(payload: bytes) -> None:
    head = replace(_header(), kind=ENDORSEMENT)
    with refused(FormatError, "its statement is a receipt"):
        check_header(head, parse_statement(payload))


def test_a_release_is_not_logged_as_something_else() -> None:
    with refused(FormatError, "says modification"):
        check_header(replace(_header(), kind="modification"), parse_statement(make.release_payload()))


def _header():  # type: ignore[no-untyped-def]
    from dataseal.ledger.entry import Header

    return Header("release", DATASET, "2026-01-02T03:04:05Z", None, None)


# --- admission by index: a key that left the list ---


def test_what_a_retired_key_logged_stays_admitted_and_nothing_later(bench: Bench) -> None:
    bench.log.append([sign_bundle(make.release_payload(), bench.publisher)])
    retired = replace(bench.log.admission.rules[0], stop=1)
    new = Rule(("*",), ("release", "modification"), (BEN.public,), start=1)
    bench.log.admission = Admission([retired, new])
    assert audit.check(bench.log).problems == []
    second = make.release_payload(
        "1.1.0", root=make.OTHER, sequence=2, previous={"version": "1.0.0", "root": make.ROOT}
    )
    with refused(Refused, "at index 1", "does not list"):
        bench.log.append([sign_bundle(second, bench.publisher)])
    bench.log.append([sign_bundle(second, BEN)])
    assert audit.check(bench.log).problems == []


def test_a_key_does_not_reach_back_before_its_rule(bench: Bench) -> None:
    bench.log.append([sign_bundle(make.release_payload(), bench.publisher)])
    late = replace(bench.log.admission.rules[0], start=1)
    bench.log.admission = Admission([late])
    problems = audit.check(bench.log).problems
    assert [p.where for p in problems] == ["entry 0"]
    assert "at index 0" in problems[0].what


def test_the_bounds_come_from_the_configuration(bench: Bench) -> None:
    from dataseal.ledger.workspace import load

    path = bench.workspace.folder / "dataseal.toml"
    text = path.read_text().replace(
        'keys = ["keys/publisher.pub"]', 'keys = ["keys/publisher.pub"]\nfrom = 3\nuntil = 7'
    )
    path.write_text(text)
    rule = load(bench.workspace.folder).admission().rules[0]
    assert [rule.holds_at(index) for index in (2, 3, 6, 7)] == [False, True, True, False]
    assert rule.holds_at(None)

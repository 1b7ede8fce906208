"""Trust documents: what they may say, what their digest binds, how they are edited, and policies that name one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger.errors import UsageError
from dataseal.verifiers.policy import PolicyError, load, trust_model
from dataseal.verifiers.policy.trust_digest import digest
from dataseal.verifiers.policy.trust_edit import TrustEditor
from dataseal.verifiers.policy.trust_file import read
from support.certificates import Authority
from support.errors import refused

World = Any
Write = Callable[..., str]
HEAD = "dataseal_trust: 1\n"
DOCUMENT = """dataseal_trust: 1
signers:
  amy: {key: keys/amy.pub, valid_until: 2027-06-30}
  ben: {key: keys/ben.pub, compromised: {since: 2026-03-01, logs: {main: 40}}}
groups: {publishers: [amy, ben]}
moderators: [amy]
logs: {main: keys/main.tlog-policy}
timestamp_authorities: {tsa: keys/ca.pem}
"""


@pytest.fixture
def document(folder: Path) -> Callable[[str], Path]:
    """Writes trust.yaml beside the keys, of which there is one CA more."""
    (folder / "keys" / "ca.pem").write_bytes(Authority.root().pem)

    def write(text: str) -> Path:
        path = folder / "trust.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write


def bad(path: Path) -> str:
    with pytest.raises(PolicyError) as caught:
        read(path)
    assert caught.value.what.startswith("the trust document can't be used")
    return str(caught.value)


# --- reading ---


def test_the_docstrings_document_is_read(document: Callable[[str], Path], folder: Path, world: World) -> None:
    (folder / "keys" / "ben-2025.pub").write_bytes(world.ben.pem())
    (folder / "keys" / "ben-2026.pub").write_bytes(world.eve.pem())
    document("")
    (folder / "keys" / "corp-ca.pem").write_bytes((folder / "keys" / "ca.pem").read_bytes())
    shown = re.search(r"    dataseal_trust: 1\n(    .*\n|\n)+", trust_model.__doc__ or "")
    assert shown
    found = read(document(re.sub(r"(?m)^    ", "", shown[0])))
    assert found.signers["ben"].fingerprints == {world.ben.fingerprint, world.eve.fingerprint}
    assert found.moderators == ("group:publishers",)
    assert [one.credential.scheme for one in found.signers["corp"].listed] == ["x509"]


def test_the_documentations_document_is_read(document: Callable[[str], Path]) -> None:
    text = (Path(__file__).parents[3] / "docs" / "trust.md").read_text(encoding="utf-8")
    shown = re.search(r"```yaml\n(dataseal_trust: 1\n.*?)```", text, re.DOTALL)
    assert shown
    assert set(read(document(shown[1])).signers) == {"amy", "ben"}


@pytest.mark.parametrize("field", ["valid_until", "valid_from"])
def test_the_last_day_of_all(document: Callable[[str], Path], field: str) -> None:
    amy = read(document(DOCUMENT.replace("valid_until: 2027-06-30", f"{field}: 9999-12-31"))).signers["amy"].listed[0]
    last = {
        "valid_until": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        "valid_from": datetime(9999, 12, 31, tzinfo=UTC),
    }
    assert getattr(amy, field) == last[field]


def test_days_and_times_are_utc_and_a_last_day_is_whole(document: Callable[[str], Path]) -> None:
    found = read(document(DOCUMENT))
    assert found.signers["amy"].listed[0].valid_until == datetime(2027, 7, 1, tzinfo=UTC)
    compromised = found.signers["ben"].listed[0].compromised
    assert compromised
    assert (compromised.since, compromised.logs) == (datetime(2026, 3, 1, tzinfo=UTC), {"main": 40})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("signers: {amy: {}}", "exactly one of key, x509 and sigstore"),
        ("signers: {amy: {key: keys/amy.pub, x509: {roots: keys/ca.pem, identity: 'CN:x'}}}", "exactly one of"),
        ("signers: {amy: {credentials: []}}", "'credentials': it is empty"),
        ("signers: {amy: {credentials: [{key: keys/amy.pub}], valid_until: 2027-01-01}}", "`credentials` stands alone"),
        ("signers: {amy: {key: keys/amy.pub, valid_until: tomorrow}}", "a day such as 2027-06-30"),
        ("signers: {amy: {key: keys/amy.pub, valid_until: '2027-06-30T12:00:00+02:00'}}", "a day such as"),
        ("signers: {amy: {key: keys/amy.pub, valid_from: 2027-02-30}}", "'valid_from'"),
        ("signers: {amy: {key: keys/amy.pub, valid_from: 2027-02-02, valid_until: 2027-02-01}}", "before valid_until"),
        ("signers: {amy: {key: keys/amy.pub, compromised: {}}}", "since: a time"),
        ("signers: {amy: {key: keys/amy.pub, compromised: {logs: {main: -1}}}}", "'main'"),
        ("signers: {amy: {key: keys/amy.pub, compromised: {logs: {mian: 3}}}}\nlogs: {main: keys/main.tlog-policy}",
         "unknown log 'mian'; did you mean 'main'"),
        ("signers: {amy: {sigstore: {identity: a@b.example, sha256: " + "0" * 64 + "}}}", "'issuer' is missing"),
        ("signers: {amy: {sigstore: {identity: a, issuer: i, match: glop, sha256: " + "0" * 64 + "}}}", "mean 'glob'"),
        ("signers: {amy: {sigstore: {identity: a, issuer: i}}}", "'sha256' is missing"),
        ("signers: {amy: {x509: {roots: keys/ca.pem, identity: someone}}}", "what kind of name"),
        ("signers: {amy: {x509: {roots: keys/amy.pub, identity: 'CN:x'}}}", "PEM certificate"),
        ("signers: {amy: {key: keys/none.pub}}", "can't be read"),
        ("signers: {amy: {key: 'spki:AAAA'}}", "SubjectPublicKeyInfo"),
        ("signers: {amy: {key: keys/amy.pub}}\ngroups: {g: [amyy]}", "unknown signer 'amyy'; did you mean 'amy'"),
        ("signers: {amy: {key: keys/amy.pub}}\nmoderators: ['group:g']", "unknown name 'group:g'"),
        ("signers: {amy: {key: keys/amy.pub}}\nmoderators: [ben]", "unknown name 'ben'"),
        ("timestamp_authorities: {t: keys/amy.pub}", "'t'"),
        ("logs: {main: keys/amy.pub}", "'main'"),
        ("signer: {}", "unknown field 'signer'; did you mean 'signers'"),
        ("file: other.yaml\nsha256: " + "0" * 64, "nothing beside them"),
        ("signers: {amy: {key: keys/amy.pub}, amy: {key: keys/ben.pub}}", "duplicate key"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(document: Callable[[str], Path], text: str, said: str) -> None:
    message = bad(document(f"{HEAD}{text}\n"))
    assert said in message
    assert re.search(r"trust\.yaml:\d+:\d+: ", message)


def test_something_else_is_no_trust_document(document: Callable[[str], Path]) -> None:
    assert "this is no trust document" in bad(document("services: {web: {image: x}}\n"))


def test_a_key_on_one_line(document: Callable[[str], Path], world: World) -> None:
    found = read(document(f"{HEAD}signers: {{amy: {{key: 'spki:{world.amy.to_spki()}'}}}}\n"))
    assert found.signers["amy"].fingerprints == {world.amy.fingerprint}


def test_a_log_written_out(document: Callable[[str], Path], world: World) -> None:
    found = read(document(f"{HEAD}logs: {{main: '{world.vkey(21)}'}}\n"))
    assert found.logs["main"].policy == world.log.policy


# --- the digest ---


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2027-06-30", "2027-07-01"),
        (", valid_until: 2027-06-30", ""),
        ("since: 2026-03-01, ", ""),
        ("main: 40", "main: 41"),
        (", compromised: {since: 2026-03-01, logs: {main: 40}}", ""),
        ("amy: {key: keys/amy.pub", "amy: {key: keys/ben.pub"),
        ("[amy, ben]", "[amy]"),
        ("moderators: [amy]", "moderators: [ben]"),
        ("moderators: [amy]\n", ""),
        ("{main: keys/main.tlog-policy}", "{main: {policy: keys/main.tlog-policy, operator: independent}}"),
        ("timestamp_authorities: {tsa: keys/ca.pem}\n", ""),
    ],
)
def test_everything_that_decides_counts(document: Callable[[str], Path], old: str, new: str) -> None:
    before = digest(read(document(DOCUMENT)))
    assert old in DOCUMENT
    assert digest(read(document(DOCUMENT.replace(old, new)))) != before


def test_a_key_that_is_exchanged_behind_its_path_counts(
    document: Callable[[str], Path], folder: Path, world: World
) -> None:
    before = digest(read(document(DOCUMENT)))
    (folder / "keys" / "amy.pub").write_bytes(world.eve.pem())
    assert digest(read(folder / "trust.yaml")) != before


def test_comments_order_and_where_a_key_stands_do_not(document: Callable[[str], Path], world: World) -> None:
    before = digest(read(document(DOCUMENT)))
    inline = DOCUMENT.replace("keys/amy.pub", f"'spki:{world.amy.to_spki()}'").replace("[amy, ben]", "[ben, amy]")
    assert digest(read(document("# ours\n" + inline))) == before


# --- policies that name a document ---

RULES = 'rules:\n  - {id: ours, rule: publisher, datasets: ["a/b"], all_of: [{signers: "group:publishers"}]}\n'


def test_a_policy_names_a_document_with_its_digest(document: Callable[[str], Path], write: Write, world: World) -> None:
    pinned = digest(read(document(DOCUMENT)))
    policy = load(write(f"trust: {{file: trust.yaml, sha256: {pinned}}}\n" + RULES))
    assert policy.trust.signers["amy"].fingerprints == {world.amy.fingerprint}
    assert policy.trust.groups == {"publishers": ("amy", "ben")}
    assert set(policy.trust.authorities) == {"tsa"}


def test_an_edited_document_does_not_pass_for_the_pinned_one(document: Callable[[str], Path], write: Write) -> None:
    """Somebody who may write trust.yaml, and not the policy, adds himself."""
    pinned = digest(read(document(DOCUMENT)))
    document(
        DOCUMENT.replace("[amy, ben]", "[amy, ben, eve]").replace(
            "signers:\n", "signers:\n  eve: {key: keys/ben.pub}\n"
        )
    )
    with pytest.raises(PolicyError, match=f"expected {pinned}"):
        load(write(f"trust: {{file: trust.yaml, sha256: {pinned}}}\n" + RULES))


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("{file: trust.yaml}", "file and sha256"),
        ("{sha256: " + "0" * 64 + "}", "file and sha256"),
        ("{file: trust.yaml, sha256: " + "0" * 64 + ", moderators: [amy]}", "nothing beside them"),
        ("{file: none.yaml, sha256: " + "0" * 64 + "}", "can't be read"),
    ],
)
def test_a_reference_without_its_digest_is_refused(
    document: Callable[[str], Path], write: Write, block: str, said: str
) -> None:
    document(DOCUMENT)
    with pytest.raises(PolicyError, match=re.escape(said)):
        load(write(f"trust: {block}\n" + RULES))


def test_a_policy_embeds_all_of_it(document: Callable[[str], Path], write: Write) -> None:
    block = DOCUMENT.removeprefix(HEAD).replace("\n", "\n  ")
    document(DOCUMENT)
    policy = load(write(f"trust:\n  {block.rstrip()}\n" + RULES))
    assert policy.trust.moderators == ("amy",)
    other = load(write(f"trust:\n  {block.rstrip().replace('main: 40', 'main: 41')}\n" + RULES))
    assert policy.digest != other.digest


def test_one_person_with_two_keys_meets_no_threshold_of_two(document: Callable[[str], Path], write: Write) -> None:
    document(DOCUMENT)
    trust = "trust:\n  signers: {amy: {credentials: [{key: keys/amy.pub}, {key: keys/ben.pub}]}}\n"
    rule = "rules:\n  - {id: a, rule: publisher, all_of: [{signers: [amy], threshold: 2}]}\n"
    with pytest.raises(PolicyError, match="can't be met by 1 distinct key"):
        load(write(trust + rule))


# --- editing ---


def test_comments_and_order_survive_an_edit(document: Callable[[str], Path], world: World) -> None:
    path = document(DOCUMENT.replace("signers:\n", "signers:   # who\n  # Amy first\n"))
    editor = TrustEditor(path)
    assert editor.add_credential("eve", {"key": world.eve.pem().decode()})
    editor.join("publishers", "eve")
    after = editor.save()
    text = path.read_text()
    assert "# who\n" in text
    assert "# Amy first\n" in text
    assert text.index("amy:") < text.index("ben:") < text.index("eve:")
    assert after.groups["publishers"] == ("amy", "ben", "eve")
    assert read(path) == after


def test_a_further_credential_and_a_new_validity(document: Callable[[str], Path], world: World) -> None:
    path = document(DOCUMENT)
    editor = TrustEditor(path)
    assert editor.add_credential("amy", {"key": world.eve.pem().decode(), "valid_from": "2026-01-01"})
    assert not editor.add_credential("amy", {"key": world.amy.pem().decode(), "valid_until": "2026-02-01"})
    amy = editor.save().signers["amy"]
    assert [one.credential.fingerprint for one in amy.listed] == [world.amy.fingerprint, world.eve.fingerprint]
    assert [one.valid_until for one in amy.listed] == [datetime(2026, 2, 2, tzinfo=UTC), None]


@pytest.mark.parametrize(
    ("more", "logs", "until"),
    [({}, {"main": 40}, None), ({"valid_until": "2026-02-01"}, {"main": 40}, datetime(2026, 2, 2, tzinfo=UTC)),
     ({"compromised": {"since": "2026-02-01T00:00:00Z"}}, {"main": 40}, None),
     ({"compromised": {"logs": {"main": 30}}}, {"main": 30}, None),
     ({"compromised": {"logs": {"main": 50}}}, {"main": 40}, None)],
)  # fmt: skip
def test_naming_a_compromised_key_again_lifts_nothing(
    document: Callable[[str], Path], world: World, more: dict[str, Any], logs: dict[str, int], until: datetime | None
) -> None:
    editor = TrustEditor(document(DOCUMENT))
    assert not editor.add_credential("ben", {"key": world.ben.pem().decode(), **more})
    (ben,) = editor.save().signers["ben"].listed
    assert ben.compromised
    assert ben.compromised.logs == logs
    assert ben.compromised.since
    assert ben.valid_until == until


@pytest.mark.parametrize(("old", "new", "kept"), [
    ("2026-03-01", "2026-02-01", (2026, 2, 1)), ("2026-03-01", "2026-04-01T12:00:00Z", (2026, 3, 1)),
    ("'2026-03-01'", "2026-04-01", (2026, 3, 1)), ("2026-03-01T12:00:00Z", "2026-03-01", (2026, 3, 1)),
    ("2026-03-01T00:00:00Z", "2026-03-02", (2026, 3, 1)),
])  # fmt: skip
def test_of_two_compromises_the_earlier_stays(
    document: Callable[[str], Path], world: World, old: str, new: str, kept: tuple[int, int, int]
) -> None:
    editor = TrustEditor(document(DOCUMENT.replace("since: 2026-03-01", f"since: {old}")))
    editor.add_credential("ben", {"key": world.ben.pem().decode(), "compromised": {"since": new}})
    (ben,) = editor.save().signers["ben"].listed
    assert ben.compromised
    assert ben.compromised.since == datetime(*kept, tzinfo=UTC)


def test_who_is_removed_leaves_groups_and_moderators(document: Callable[[str], Path]) -> None:
    path = document(DOCUMENT)
    editor = TrustEditor(path)
    assert editor.remove("amy") == ["signer amy", "its place in group publishers"]
    after = editor.save()
    assert set(after.signers) == {"ben"}
    assert after.groups == {"publishers": ("ben",)}
    assert after.moderators == ()


def test_the_last_of_a_group_takes_it_along(document: Callable[[str], Path]) -> None:
    path = document(
        DOCUMENT.replace("[amy, ben]", "[amy]").replace("moderators: [amy]", "moderators: ['group:publishers']")
    )
    editor = TrustEditor(path)
    editor.remove("amy")
    after = editor.save()
    assert after.groups == {}
    assert after.moderators == ()


def test_an_unknown_name_is_not_removed(document: Callable[[str], Path]) -> None:
    with refused(UsageError, "nothing is called 'eve'", "amy"):
        TrustEditor(document(DOCUMENT)).remove("eve")


def test_an_edit_that_would_break_the_document_writes_nothing(document: Callable[[str], Path]) -> None:
    path = document(DOCUMENT)
    editor = TrustEditor(path)
    editor.remove("main")  # which Ben's compromise speaks of
    with pytest.raises(PolicyError, match="unknown log 'main'"):
        editor.save()
    assert path.read_text() == DOCUMENT


def test_a_broken_document_is_not_edited(document: Callable[[str], Path]) -> None:
    with pytest.raises(PolicyError):
        TrustEditor(document(DOCUMENT + "signer: {}\n"))

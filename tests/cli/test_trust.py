"""Trust documents on the command line: who counts, k-of-n, rotation, compromise, first use."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from support.cli import Said, blocked, dataseal, passed, refused
from support.datasets import NAME, World, run, write
from support.tsa import Tsa


@pytest.fixture
def trust(world: World) -> Path:
    """A consumer's trust document: acme by the publisher's key, and the log."""
    path = world.here / "trust.yaml"
    run("trust", "add", "acme", "--key", world.pub, "--group", "publishers", "--trust", path)
    run("trust", "add", "main", "--log", world.vkey, "--trust", path)
    return path


def verify(world: World, target: Path, trust: Path, *more: object) -> Said:
    return dataseal("verify", target, "--trust", trust, "--dataset", NAME, *more)


def admit(world: World, key: Path, *kinds: str) -> None:
    """Lists a key in the publisher's log."""
    with (world.ws / "dataseal.toml").open("a") as stream:
        stream.write(f'\n[[admission]]\ndatasets = ["*"]\nkinds = {json.dumps(kinds)}\nkeys = ["{key}"]\n')


def new_key(world: World, name: str, *kinds: str) -> Path:
    """A key in the publisher's workspace, which its log lists for ``kinds``."""
    path = world.ws / "keys" / f"{name}.key"
    run("key", "new", path)
    admit(world, path.with_suffix(".pub"), *kinds)
    return path


def next_release(world: World, key: Path, version: str = "1.2.0") -> Path:
    """A release of more data, by ``key``."""
    folder = world.here / version
    shutil.copytree(world.v2, folder)
    shutil.rmtree(folder / ".dataseal")
    write(folder / "data" / "d.bin", b"more data")
    run("sign", folder, "--dataset", NAME, "--release", version, "--workspace", world.ws, "--key", key)
    return folder


# --- the document ---


def test_a_group_publishers_needs_no_further_word(world: World, trust: Path) -> None:
    passed(verify(world, world.copy(), trust), f"{NAME}@1.1.0")


def test_a_signer_of_the_document_is_named_and_shown(world: World, trust: Path) -> None:
    said = verify(world, world.copy(), trust, "--publisher", "acme")
    assert "signed by   acme, key " in said.out
    shown = verify(world, world.copy(name="b"), trust, "--publisher", "group:publishers", "--format", "json").json
    assert shown["release"]["signatures"][0]["signers"] == ["acme"]
    assert shown["release"]["signatures"][0]["times"] == []
    run("trust", "add", "acme", "--key", world.pub, "--valid-until", "2999-12-31", "--trust", trust)
    said = verify(world, world.copy(name="c"), trust)
    assert "; valid until 3000-01-01T00:00:00Z" in said.out
    shown = verify(world, world.copy(name="d"), trust, "--format", "json").json
    assert shown["release"]["signatures"][0]["valid"] == {"from": None, "until": "3000-01-01T00:00:00Z"}


def test_screen_and_gate_take_it_too(world: World, trust: Path) -> None:
    said = dataseal(
        "gate", world.copy(), "--policy", "dataseal:baseline", "--trust", trust, "--dataset", NAME, "--dry-run"
    )
    passed(said, f"{NAME}@1.1.0")
    said = dataseal("screen", world.copy(name="b"), "--trust", trust, "--dataset", NAME)
    assert said.code in (0, 3), said
    assert "history     verified: 2 deliveries" in said.out
    altered = world.copy(name="c")
    (altered / "data" / "a.bin").write_bytes(b"altered")
    said = dataseal("screen", altered, "--trust", trust, "--dataset", NAME)
    assert said.code == 1
    assert "was not screened" in said.last


def test_a_document_that_nobody_of_is_named(world: World, trust: Path) -> None:
    trust.write_text(trust.read_text().replace("publishers:", "curators:"))
    refused(verify(world, world.copy(), trust), 2, "whom of the trust document?", "--publisher NAME", "acme")


def test_a_name_that_it_does_not_have(world: World, trust: Path) -> None:
    refused(verify(world, world.copy(), trust, "--publisher", "acmee"), 2, "acmee")


def test_a_workspace_that_lies_around_names_nobody(
    world: World, stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download that holds a dataseal.toml, a trust.yaml, and the data it vouches for."""
    run("trust", "add", "acme", "--key", stranger / "keys" / "publisher.pub", "--workspace", stranger)
    monkeypatch.chdir(stranger)
    refused(dataseal("verify", world.copy(), "--publisher", "acme", "--log", world.vkey), 2, "acme")
    monkeypatch.setenv("DATASEAL_TRUST", str(stranger / "trust.yaml"))
    refused(dataseal("verify", world.copy(name="b"), "--publisher", "acme", "--log", world.vkey), 2, "acme")


@pytest.mark.parametrize("command", [("verify",), ("screen",), ("gate", "--policy", "dataseal:baseline", "--dry-run")])
def test_a_document_inside_the_data_is_not_read(world: World, trust: Path, command: tuple[str, ...]) -> None:
    copy = world.copy()
    inside = write(copy / "docs" / "trust.yaml", trust.read_bytes())
    said = dataseal(command[0], copy, *command[1:], "--trust", inside, "--dataset", NAME)
    refused(said, 2, "lies inside the dataset's folder")


@pytest.mark.parametrize("command", [("verify",), ("screen",), ("gate", "--dry-run")])
def test_a_policy_inside_the_data_is_not_read(world: World, command: tuple[str, ...]) -> None:
    more = ("groups: {publishers: [acme]}", f"logs: {{main: '{world.vkey}'}}")
    policy = policy_of(world, f"acme: {{key: {world.pub}}}", *more)
    copy = world.copy()
    inside = write(copy / "docs" / "policy.yaml", policy.read_bytes())
    said = dataseal(command[0], copy, *command[1:], "--policy", inside, "--dataset", NAME)
    refused(said, 2, "the policy lies inside the dataset's folder")


def test_a_document_adds_nobody_to_a_policy_that_says_who_publishes(world: World, trust: Path) -> None:
    policy = world.here / "policy.yaml"
    policy.write_text(
        "dataseal_policy: 1\nname: ours\nextends: [{policy: 'dataseal:baseline'}]\n"
        f"trust: {{signers: {{us: {{key: {world.pub}}}}}, groups: {{publishers: [us]}}, logs: {{l: '{world.vkey}'}}}}\n"
    )
    refused(verify(world, world.copy(), trust, "--policy", policy), 2, "can't add to the policy")


def test_a_compromised_key_gets_no_second_name(world: World, trust: Path) -> None:
    run("trust", "add", "acme", "--key", world.pub, "--compromised-at", "main=0", "--trust", trust)
    before = trust.read_bytes()
    said = dataseal("trust", "add", "zoe", "--key", world.pub, "--group", "publishers", "--trust", trust)
    refused(said, 2, "this credential is compromised", "'acme'")
    assert trust.read_bytes() == before


# --- what a document or a policy says against a key, no option lifts ---


def policy_of(world: World, signers: str, *more: str) -> Path:
    """A policy that leaves open who publishes, if ``more`` does not say it."""
    path = world.here / "policy.yaml"
    lines = ["dataseal_policy: 1", "name: ours", "extends: [{policy: 'dataseal:baseline'}]", "trust:"]
    lines += [f"  signers: {{{signers}}}", *(f"  {line}" for line in more)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_key_that_is_compromised_as_somebody_elses(world: World, trust: Path) -> None:
    run("trust", "add", "zoe", "--key", world.pub, "--trust", trust)
    passed(verify(world, world.copy(), trust, "--publisher", "zoe"), f"{NAME}@1.1.0")
    run("trust", "add", "acme", "--key", world.pub, "--compromised-at", "main=0", "--trust", trust)
    said = verify(world, world.copy(name="b"), trust, "--publisher", "zoe")
    blocked(said, "signature.untrusted", "signer 'acme' is compromised from entry 0")


@pytest.mark.parametrize("keys", [1, 2])
def test_a_compromised_key_as_a_file_beside_its_document(world: World, trust: Path, keys: int) -> None:
    if keys == 2:
        run("trust", "add", "acme", "--key", new_key(world, "second").with_suffix(".pub"), "--trust", trust)
    run("trust", "add", "acme", "--key", world.pub, "--compromised-at", "main=0", "--trust", trust)
    said = verify(world, world.copy(), trust, "--publisher", world.pub)
    blocked(said, "signature.untrusted", "signer 'acme' is compromised from entry 0")


def test_a_key_as_a_file_is_valid_as_long_as_its_document_says(world: World, trust: Path) -> None:
    run("trust", "add", "acme", "--key", new_key(world, "second").with_suffix(".pub"), "--trust", trust)
    run("trust", "add", "acme", "--key", world.pub, "--valid-until", "2020-01-01", "--trust", trust)
    said = verify(world, world.copy(), trust, "--publisher", world.pub)
    blocked(said, "signature.untrusted", "was valid until 2020-01-02")


@pytest.mark.parametrize("said", ["compromised: {logs: {main: 0}}", "valid_until: 2020-01-01"])
def test_one_key_of_a_policys_signer_keeps_what_the_policy_says_of_it(world: World, said: str) -> None:
    other = new_key(world, "second").with_suffix(".pub")
    keys = f"acme: {{credentials: [{{key: {world.pub}, {said}}}, {{key: {other}}}]}}"
    policy = policy_of(world, keys, f"logs: {{main: '{world.vkey}'}}")
    found = dataseal("verify", world.copy(), "--policy", policy, "--publisher", world.pub, "--dataset", NAME)
    blocked(found, "signature.untrusted", "does not count")


@pytest.mark.parametrize("name", ["acme", "us"])
def test_a_document_and_a_policy_that_disagree_about_a_key(world: World, trust: Path, name: str) -> None:
    run("trust", "remove", "main", "--trust", trust)
    logs = f"logs: {{main: '{world.vkey}'}}"
    policy = policy_of(world, f"{name}: {{key: {world.pub}}}", logs)
    passed(verify(world, world.copy(), trust, "--policy", policy), f"{NAME}@1.1.0")
    run("trust", "add", "acme", "--key", world.pub, "--compromised-since", "2020-01-01", "--trust", trust)
    refused(verify(world, world.copy(name="b"), trust, "--policy", policy), 2, "says otherwise", "'acme'")
    run("trust", "remove", "acme", "--trust", trust)
    run("trust", "add", "acme", "--key", world.pub, "--group", "publishers", "--trust", trust)
    policy = policy_of(world, f"{name}: {{key: {world.pub}, valid_until: 2020-01-01}}", logs)
    refused(verify(world, world.copy(name="c"), trust, "--policy", policy), 2, "says otherwise", "'acme'")


def test_a_document_adds_no_timestamp_authority_to_a_policy_that_names_its_own(world: World, trust: Path) -> None:
    own, other = (write(world.here / f"{name}.pem", Tsa.new(name).root.pem) for name in ("own", "other"))
    run("trust", "remove", "main", "--trust", trust)
    run("trust", "add", "tsa", "--tsa", own, "--trust", trust)
    more = (f"logs: {{main: '{world.vkey}'}}", f"timestamp_authorities: {{tsa: {own}}}")
    policy = policy_of(world, f"us: {{key: {world.pub}}}", *more)
    passed(verify(world, world.copy(), trust, "--policy", policy), f"{NAME}@1.1.0")
    run("trust", "add", "another", "--tsa", other, "--trust", trust)
    said = verify(world, world.copy(name="b"), trust, "--policy", policy)
    refused(said, 2, "can't add timestamp authorities to the policy")


def test_another_log_does_not_pass_for_one_of_the_document(world: World, trust: Path, stranger: Path) -> None:
    """The compromise below speaks of `main`; another log has no index in it, whatever it is called."""
    run("trust", "add", "acme", "--key", world.pub, "--compromised-at", "main=99", "--trust", trust)
    passed(verify(world, world.copy(), trust, "--log", "main"), f"{NAME}@1.1.0")
    passed(verify(world, world.copy(name="b"), trust, "--log", world.vkey), f"{NAME}@1.1.0")
    config = stranger / "dataseal.toml"
    config.write_text(config.read_text().replace("keys/publisher.pub", str(world.pub)))
    folder = write(world.here / "elsewhere" / "a.bin", b"signed by the thief, in a log of his own").parent
    run(
        "sign", folder, "--dataset", NAME, "--release", "1.2.0", "--workspace", stranger,
        "--key", world.ws / "keys" / "publisher.key",
    )  # fmt: skip
    vkey = (stranger / "keys" / "log.vkey").read_text().strip()
    blocked(verify(world, folder, trust, "--log", vkey), "signature.untrusted", "gives no index")


def test_a_log_of_the_document_keeps_its_indexes_when_it_is_named_by_its_key(world: World, trust: Path) -> None:
    run("trust", "add", "acme", "--key", world.pub, "--compromised-at", "main=3", "--trust", trust)
    blocked(verify(world, world.copy(), trust, "--log", world.vkey), "signature.untrusted", "entry 3 of log 'main'")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "what is 'x'?"),
        (("--identity", "a@b.example"), "who vouches for"),
        (("--identity", "a", "--roots", "ca.pem", "--issuer", "https://i.example"), "who vouches for"),
        (("--log", "nothing+here", "--key", "k.pub"), "what is 'x'?"),
        (("--log", "nothing+here", "--group", "g"), "--group says something of a signer"),
        (("--key", "none.pub"), "can't read"),
        (("--key", "spki:AAAA"), "SubjectPublicKeyInfo"),
        (("--key", "PUB", "--valid-until", "tomorrow"), "a day such as"),
        (("--key", "PUB", "--compromised-at", "main"), "LOG=INDEX"),
        (("--key", "PUB", "--compromised-at", "other=3"), "unknown log 'other'"),
        (("--key", "PUB", "--match", "glob"), "a key is a key"),
    ],
)
def test_what_makes_no_sense_changes_nothing(world: World, trust: Path, options: tuple[str, ...], said: str) -> None:
    before = trust.read_text()
    words = [str(world.pub) if word == "PUB" else word for word in options]
    refused(dataseal("trust", "add", "x", *words, "--trust", trust), 2, said)
    assert trust.read_text() == before


def test_a_log_is_not_exchanged_under_its_name(world: World, trust: Path, stranger: Path) -> None:
    other = (stranger / "keys" / "log.vkey").read_text().strip()
    before = trust.read_bytes()
    refused(
        dataseal("trust", "add", "main", "--log", other, "--trust", trust), 2, "is there already", "trust remove main"
    )
    assert trust.read_bytes() == before


def test_list_show_digest_and_remove(world: World, trust: Path) -> None:
    listed = run("trust", "list", "--trust", trust).out
    assert "acme  ecdsa-p256, " in listed
    assert "main: self-operated, quorum none of 0 witnesses" in listed
    digest = run("trust", "digest", trust).out.strip()
    assert digest in listed
    assert run("trust", "show", "acme", "--trust", trust, "--format", "json").json["digest"] == digest
    refused(dataseal("trust", "show", "ann", "--trust", trust), 2, "nothing is called 'ann'", "acme")
    assert "its place in group publishers" in run("trust", "remove", "acme", "--trust", trust).out
    assert run("trust", "digest", "--trust", trust).out.strip() != digest
    refused(verify(world, world.copy(), trust), 2, "whom of the trust document?")


def test_a_workspace_keeps_its_document_beside_its_configuration(world: World) -> None:
    run("trust", "add", "acme", "--key", world.pub, "--workspace", world.ws)
    assert (world.ws / "trust.yaml").is_file()
    refused(dataseal("trust", "list", "--trust", world.here / "none.yaml"), 2, "no trust document", "trust add")


# --- k of n ---


def test_two_signers_meet_a_threshold_of_two(world: World, trust: Path) -> None:
    ben = new_key(world, "ben", "endorsement")
    run("trust", "add", "ben", "--key", ben.with_suffix(".pub"), "--group", "publishers", "--trust", trust)
    copy = world.copy()
    blocked_by_rule(verify(world, copy, trust, "--threshold", 2), "signed by 1 of 2 distinct signers")
    said = run("cosign", copy, "--workspace", world.ws, "--key", ben)
    assert said.last.startswith(f"COSIGNED {NAME}@1.1.0: wrote ")
    passed(verify(world, copy, trust, "--threshold", 2), f"{NAME}@1.1.0")
    run("ledger", "check", "--workspace", world.ws)


def test_one_persons_two_keys_do_not(world: World, trust: Path) -> None:
    ben = new_key(world, "ben", "endorsement")
    run("trust", "add", "acme", "--key", ben.with_suffix(".pub"), "--trust", trust)
    copy = world.copy()
    run("cosign", copy, "--workspace", world.ws, "--key", ben)
    refused(verify(world, copy, trust, "--threshold", 2), 2, "can't be met by 1 distinct key")


def test_a_cosigner_whom_the_log_does_not_list(world: World) -> None:
    run("key", "new", world.here / "eve.key")
    copy = world.copy()
    said = dataseal("cosign", copy, "--workspace", world.ws, "--key", world.here / "eve.key")
    refused(said, 1, "no trusted key")
    assert not (copy / ".dataseal" / "release" / "2.sigstore.json").exists()


def blocked_by_rule(said: Said, reason: str) -> None:
    assert said.code == 1, said
    assert said.last.startswith("BLOCKED ")
    assert reason in said.out, said.out


# --- rotation ---


def test_a_new_key_is_announced_shown_and_accepted_by_the_command_that_is_shown(world: World, trust: Path) -> None:
    new = new_key(world, "new", "release")
    run(
        "key", "announce", new.with_suffix(".pub"), "--dataset", NAME, "--reason", "the old laptop retires",
        "--replaces", world.pub, "--workspace", world.ws,
    )  # fmt: skip
    release = next_release(world, new)
    said = verify(world, release, trust)
    blocked(said, "signature.untrusted", "acme announces key ", "the old laptop retires", "a thief of acme's key")
    command = re.search(r"dataseal (trust add acme --key spki:\S+)", said.out)
    assert command
    run(*shlex.split(command[1]), "--trust", trust)
    said = verify(world, release, trust)
    passed(said, f"{NAME}@1.2.0")
    assert "announces" not in said.out
    run("ledger", "check", "--workspace", world.ws)


def test_an_old_release_is_endorsed_by_the_new_key(world: World, trust: Path) -> None:
    new = new_key(world, "new", "release")
    copy = world.copy()
    run("trust", "add", "acme", "--key", world.pub, "--valid-until", "2026-01-01", "--trust", trust)
    run("trust", "add", "acme", "--key", new.with_suffix(".pub"), "--trust", trust)
    blocked(verify(world, copy, trust), "signature.untrusted", "was valid until 2026-01-02T00:00:00Z", "cosign")
    run("cosign", copy, "--workspace", world.ws, "--key", new)
    passed(verify(world, copy, trust), f"{NAME}@1.1.0")


def test_a_thief_can_not_rotate_to_himself(world: World, trust: Path, stranger: Path) -> None:
    """He has the publisher's key and the log's: his announcement is genuine, and nobody follows it."""
    thief = stranger / "keys" / "publisher.key"
    admit(world, thief.with_suffix(".pub"), "release")
    run(
        "key", "announce", thief.with_suffix(".pub"), "--dataset", NAME, "--reason", "a routine rotation",
        "--workspace", world.ws,
    )  # fmt: skip
    release = next_release(world, thief)
    before = trust.read_bytes()
    blocked(verify(world, release, trust), "signature.untrusted", "It is not trusted")
    assert trust.read_bytes() == before
    # The index of the announcement is the first that the thief wrote: from then on he is not even shown.
    run("trust", "add", "acme", "--key", world.pub, "--compromised-at", "main=5", "--trust", trust)
    said = verify(world, release, trust)
    blocked(said, "signature.untrusted")
    assert "announces" not in said.out
    passed(verify(world, world.copy(), trust), f"{NAME}@1.1.0")


def test_a_stranger_announces_nothing_that_is_shown(world: World, trust: Path, stranger: Path) -> None:
    key = stranger / "keys" / "publisher.key"
    admit(world, key.with_suffix(".pub"), "key")
    announce = ("key", "announce", stranger / "keys" / "gate.pub", "--dataset", NAME, "--reason", "trust me")
    run(*announce, "--workspace", world.ws, "--key", key)
    release = next_release(world, world.ws / "keys" / "publisher.key")
    said = verify(world, release, trust)
    passed(said, f"{NAME}@1.2.0")
    assert "trust me" not in said.out


def test_a_key_that_announces_itself(world: World) -> None:
    said = dataseal("key", "announce", world.pub, "--dataset", NAME, "--reason", "x", "--workspace", world.ws)
    refused(said, 2, "announces itself")


# --- compromise ---


def test_a_stolen_keys_later_releases_do_not_count(world: World, trust: Path) -> None:
    """Entry 3 is 1.1.0 and the last honest one; what the thief signs comes after."""
    forged = next_release(world, world.ws / "keys" / "publisher.key")
    passed(verify(world, forged, trust), f"{NAME}@1.2.0")
    run("trust", "add", "acme", "--key", world.pub, "--compromised-at", "main=4", "--trust", trust)
    blocked(verify(world, forged, trust), "signature.untrusted", "compromised from entry 4 of log 'main'")
    passed(dataseal("verify", world.copy(), "--trust", trust, "--dataset", f"{NAME}@1.1.0"), f"{NAME}@1.1.0")


def test_without_the_log_nothing_of_a_stolen_key_counts(world: World, trust: Path) -> None:
    run("trust", "add", "acme", "--key", world.pub, "--compromised-at", "main=4", "--trust", trust)
    blocked(verify(world, world.copy(), trust, "--no-log"), "signature.untrusted", "compromised")


# --- first use ---


def first_use(world: World, target: Path, *more: object) -> Said:
    return dataseal("verify", target, "--dataset", NAME, "--trust-on-first-use", *more)


def test_a_first_use_pins_and_looks_like_no_pass(world: World) -> None:
    said = first_use(world, world.copy(), *world.trust)
    assert said.code == 0, said
    assert said.last == f"PASSED first use {NAME}@1.1.0"
    assert "FIRST USE: pinned key " in said.out
    assert first_use(world, world.copy(name="c"), "--format", "json").json["first_use"] is False
    again = first_use(world, world.copy(name="b"))
    passed(again, f"{NAME}@1.1.0")
    assert "trusted since a first use" in again.out


def test_a_later_change_of_signer_is_blocked_and_names_both(world: World, stranger: Path) -> None:
    first_use(world, world.copy(), *world.trust)
    thief = stranger / "keys" / "publisher.key"
    admit(world, thief.with_suffix(".pub"), "release")
    release = next_release(world, thief)
    pins = [run("key", "fingerprint", key).out.strip() for key in (thief, world.pub)]
    said = first_use(world, release, "--publisher", thief.with_suffix(".pub"))
    blocked(said, "signature.changed", *pins, "pinned on first use")
    blocked(first_use(world, release), "signature.untrusted", pins[1][:16])


def test_a_later_change_of_log_is_blocked(world: World, stranger: Path) -> None:
    first_use(world, world.copy(), *world.trust)
    admit_there = (stranger / "dataseal.toml").read_text().replace("keys/publisher.pub", str(world.pub))
    (stranger / "dataseal.toml").write_text(admit_there)
    folder = world.here / "elsewhere"
    write(folder / "data" / "a.bin", b"other")
    run(
        "sign", folder, "--dataset", NAME, "--release", "3.0.0", "--workspace", stranger,
        "--key", world.ws / "keys" / "publisher.key",
    )  # fmt: skip
    log = (stranger / "keys" / "log.vkey").read_text().strip()
    blocked(first_use(world, folder, "--log", log), "log.changed", world.vkey)


def test_a_first_contact_that_does_not_pass_pins_nothing(world: World) -> None:
    copy = world.copy()
    (copy / "data" / "a.bin").write_bytes(b"altered")
    assert first_use(world, copy, *world.trust).code == 1
    refused(first_use(world, world.copy(name="b")), 2, "nothing is pinned")


def test_nothing_is_pinned_unless_it_is_asked_for(world: World) -> None:
    passed(world.verify(world.copy()), f"{NAME}@1.1.0")
    refused(first_use(world, world.copy(name="b")), 2, "nothing is pinned")


@pytest.mark.parametrize(
    "options",
    [("--policy", "dataseal:baseline"), ("--threshold", "1"), ("--no-log",), ("--trust", "TRUST")],
)
def test_it_goes_with_nothing_that_says_whom_to_trust(world: World, trust: Path, options: tuple[str, ...]) -> None:
    words = [str(trust) if word == "TRUST" else word for word in options]
    refused(first_use(world, world.copy(), *words), 2, "--trust-on-first-use goes without")


def test_it_pins_one_named_dataset(world: World) -> None:
    refused(dataseal("verify", world.copy(), *world.trust, "--trust-on-first-use"), 2, "pins one dataset")


def test_no_gate_takes_it(world: World) -> None:
    said = dataseal("gate", world.copy(), *world.gate, "--trust-on-first-use", "--dry-run")
    assert said.code == 2
    assert "No such option" in said.err


def test_damaged_pins_are_an_error_and_no_first_contact(world: World, home: Path) -> None:
    first_use(world, world.copy(), *world.trust)
    path = home / "state" / "dataseal" / "first-use.json"
    path.write_bytes(path.read_bytes()[:-2])
    refused(first_use(world, world.copy(name="b"), *world.trust), 2, "the pins are damaged")

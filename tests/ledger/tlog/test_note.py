"""Signed notes: strict form, name and ID matched, and no way for a bad signature by a known key to pass."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import example as with_example
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError
from dataseal.ledger.tlog import note
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.limits import MAX_NOTE_BYTES, MAX_SIGNATURES

TEXT = b"One line.\n\nAnother, after an empty one.\n"


@pytest.fixture
def alice(log_signer):
    return dataclasses.replace(log_signer, name="alice.example")


@pytest.fixture
def bob(new_witness):
    return note.Ed25519Signer("bob.example", new_witness("bob").private_key)


def test_docstring_example(example):
    vkey, _, signed = example(note).partition("\n\n")
    opened = note.open_note(signed.encode(), [parse_vkey(vkey)])
    assert opened.text == b"Rows 7 and 9 were withdrawn.\n"


def test_the_specifications_own_example(vectors):
    vector = vectors("tlog_signed_note.json")  # C2SP signed-note.md, CC BY 4.0
    opened = note.open_note(vector["note"].encode(), [parse_vkey(vector["vkey"])])
    assert opened.text == b"This is an example message.\n"
    assert [signature.name for signature in opened.verified] == ["example.com/foo"]
    assert opened.unverified == ()


def test_the_shared_copy_of_the_example_is_the_same(vectors, shared_vectors):
    shared = (shared_vectors / "c2sp-inline.json").read_text(encoding="utf-8")
    vector = vectors("tlog_signed_note.json")
    assert vector["vkey"] in shared


def test_sign_and_open(alice, bob):
    data = note.sign(TEXT, [alice, bob])
    opened = note.open_note(data, [alice.verifier])
    assert opened.text == TEXT
    assert [s.name for s in opened.verified] == ["alice.example"]
    assert [s.name for s in opened.unverified] == ["bob.example"]
    assert len(note.open_note(data, [alice.verifier, bob.verifier]).verified) == 2


def test_the_text_ends_at_the_last_empty_line(alice):
    text = b"a\n\n\n"
    assert note.open_note(note.sign(text, [alice]), [alice.verifier]).text == text
    assert note.open_note(note.sign(b"\n", [alice]), [alice.verifier]).text == b"\n"


# --- which signatures count ---


def test_a_note_signed_by_unknown_keys_only_is_refused_and_names_both_sides(alice, bob):
    with pytest.raises(SignatureInvalid, match=r"signed by alice\.example\+.*known: bob\.example\+"):
        note.open_note(note.sign(TEXT, [alice]), [bob.verifier])


def test_a_known_key_that_fails_rejects_the_note_although_another_holds(alice, bob):
    good = note.parse(note.sign(TEXT, [alice, bob]))
    forged = dataclasses.replace(good.signatures[1], signature=bytes(64))
    data = note.encode(TEXT, [good.signatures[0], forged])
    with pytest.raises(SignatureInvalid, match=r"bob\.example"):
        note.open_note(data, [alice.verifier, bob.verifier])
    assert note.open_note(data, [alice.verifier]).text == TEXT, "unknown signatures are ignored"


def test_the_same_name_with_another_id_is_unknown(alice, bob):
    namesake = dataclasses.replace(bob, name=alice.name)
    opened = note.open_note(note.sign(TEXT, [namesake, alice]), [alice.verifier])
    assert len(opened.verified) == len(opened.unverified) == 1
    with pytest.raises(SignatureInvalid):
        note.open_note(note.sign(TEXT, [namesake]), [alice.verifier])


def test_the_same_id_with_another_name_is_unknown(alice):
    signature = note.parse(note.sign(TEXT, [alice])).signatures[0]
    data = note.encode(TEXT, [dataclasses.replace(signature, name="mallory.example")])
    with pytest.raises(SignatureInvalid, match="no signature by a known key"):
        note.open_note(data, [alice.verifier])


def test_a_repeated_signature_counts_once(alice):
    signature = note.parse(note.sign(TEXT, [alice])).signatures[0]
    opened = note.open_note(note.encode(TEXT, [signature] * 3), [alice.verifier])
    assert opened.verified == (signature,)
    assert opened.unverified == ()


def test_a_repeated_signature_that_fails_rejects_the_note(alice):
    signature = note.parse(note.sign(TEXT, [alice])).signatures[0]
    bad = dataclasses.replace(signature, signature=bytes(64))
    for order in ([signature, bad], [bad, signature]):
        with pytest.raises(SignatureInvalid):
            note.open_note(note.encode(TEXT, order), [alice.verifier])


@pytest.mark.parametrize("length", [1, 63, 65, 128])
def test_an_ed25519_signature_of_another_length_fails(alice, length):
    data = note.encode(TEXT, [note.Signature(alice.name, alice.key_id, bytes(length))])
    with pytest.raises(SignatureInvalid):
        note.open_note(data, [alice.verifier])


def test_no_known_key_is_an_error_not_a_pass(alice):
    with pytest.raises(UsageError, match="no key"):
        note.open_note(note.sign(TEXT, [alice]), [])


def test_two_different_keys_under_one_name_and_id_are_refused(alice, bob):
    class Colliding:
        name, key_id = alice.name, alice.key_id

        def verify(self, message, signature):
            raise AssertionError("never asked")

    with pytest.raises(UsageError, match="two different keys"):
        note.open_note(note.sign(TEXT, [alice]), [alice.verifier, Colliding()])
    assert note.open_note(note.sign(TEXT, [alice]), [alice.verifier, alice.verifier]).text == TEXT


# --- the form ---

GOOD_LINE = "\u2014 alice.example AAAAAAE=\n"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no empty line"),
        (b"text\n", "no empty line"),
        (b"text\n\n", "does not end"),
        (f"text\n{GOOD_LINE}".encode(), "no empty line"),
        (f"text\n\n{GOOD_LINE}"[:-1].encode(), "does not end"),
        (f"text\n\n{GOOD_LINE}\n".encode(), "does not end"),
        (f"text\n\n{GOOD_LINE}more\n".encode(), "em dash"),
        (b"text\n\n- alice.example AAAAAAE=\n", "em dash"),
        ("text\n\n\u2013 alice.example AAAAAAE=\n".encode(), "em dash"),
        ("text\n\n\u2014alice.example AAAAAAE=\n".encode(), "em dash"),
        ("text\n\n\u2014 alice.example\n".encode(), "key name"),
        ("text\n\n\u2014  AAAAAAE=\n".encode(), "key name"),
        ("text\n\n\u2014 al+ice AAAAAAE=\n".encode(), "key name"),
        ("text\n\n\u2014 al\u00a0ice AAAAAAE=\n".encode(), "key name"),
        ("text\n\n\u2014 al\u2003ice AAAAAAE=\n".encode(), "key name"),
        ("text\n\n\u2014 alice  AAAAAAE=\n".encode(), "base64"),
        ("text\n\n\u2014 alice AAAAAAE= \n".encode(), "base64"),
        ("text\n\n\u2014 alice AAAAAAE\n".encode(), "base64"),
        ("text\n\n\u2014 alice AAAAAAF=\n".encode(), "canonical"),
        ("text\n\n\u2014 alice AAAAAA==\n".encode(), "4-byte key ID"),
        ("text\n\n\u2014 alice AAAA\n".encode(), "4-byte key ID"),
        (f"te\rxt\n\n{GOOD_LINE}".encode(), r"U\+000D"),
        (f"te\txt\n\n{GOOD_LINE}".encode(), r"U\+0009"),
        (f"te\x00xt\n\n{GOOD_LINE}".encode(), r"U\+0000"),
        (b"te\xffxt\n\n" + GOOD_LINE.encode(), "UTF-8"),
        (b"te\xed\xa0\x80xt\n\n" + GOOD_LINE.encode(), "UTF-8"),
        (f"text\n\n{GOOD_LINE[:-1]}\r\n".encode(), r"U\+000D"),
    ],
)
def test_what_is_not_a_note_is_refused(data, why):
    with pytest.raises(FormatError, match=why):
        note.parse(data)


def test_the_size_is_bounded_before_parsing():
    with pytest.raises(FormatError, match="at most"):
        note.parse(b"x" * (MAX_NOTE_BYTES + 1))


def test_the_number_of_signatures_is_bounded():
    assert len(note.parse(b"text\n\n" + GOOD_LINE.encode() * MAX_SIGNATURES).signatures) == MAX_SIGNATURES >= 16
    with pytest.raises(FormatError, match="101 signatures"):
        note.parse(b"text\n\n" + GOOD_LINE.encode() * (MAX_SIGNATURES + 1))


def test_a_note_of_post_quantum_signatures_fits():
    line = note.Signature("witness.example/" + "x" * 40, bytes(4), bytes(5000)).encode()
    assert len(note.parse(b"text\n\n" + line * 16).signatures) == 16


def test_signing_replaces_by_name_and_id_and_keeps_the_rest(alice, bob):
    first = note.parse(note.sign(TEXT, [alice, bob]))
    stale = dataclasses.replace(first.signatures[0], signature=bytes(64))
    again = note.sign(TEXT, [alice], existing=[stale, first.signatures[1]])
    assert note.parse(again).signatures == (first.signatures[1], first.signatures[0])
    assert note.sign(TEXT, [], existing=first.signatures) == note.encode(TEXT, first.signatures)


def test_nobody_signing_is_an_error(alice):
    with pytest.raises(UsageError, match="at least one"):
        note.sign(TEXT, [])
    with pytest.raises(UsageError, match="same key name"):
        note.sign(TEXT, [alice, alice])


@pytest.mark.parametrize("text", [b"", b"no newline", b"\x07\n", b"\xff\n"])
def test_a_text_that_no_note_can_hold_is_not_signed(alice, text):
    with pytest.raises(FormatError):
        note.sign(text, [alice])


def test_a_signature_can_not_smuggle_a_line():
    evil = note.Signature("alice AAAAAAE=\n\u2014 bob", bytes(4), b"x")
    with pytest.raises(FormatError):
        note.encode(TEXT, [evil])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2028b", "a\x1fb", "x" * 256])
def test_key_names(name, alice):
    with pytest.raises(UsageError, match="not a key name"):
        note.Ed25519Verifier(name, alice.verifier.public_key)


LETTERS = "abz.019/-\u2014é\U0001f600=@"
SIGNATURES = st.builds(
    note.Signature,
    st.text(alphabet=LETTERS, min_size=1, max_size=8),
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=1, max_size=80),
)
TEXTS = st.text(alphabet=LETTERS + " +\n\n", max_size=40).map(lambda text: f"{text}\n".encode())


@given(TEXTS, st.lists(SIGNATURES, min_size=1, max_size=5))
@with_example(b"\n\n\n", [note.Signature("a", bytes(4), b"x")])
def test_round_trip(text, signatures):
    assert note.parse(note.encode(text, signatures)) == note.UnverifiedNote(text, tuple(signatures))


def test_any_changed_byte_is_refused_or_seen(alice):
    """No second spelling: a note with one byte changed either does not open, or opens to another text or signature."""
    data = note.sign(TEXT, [alice])
    before = note.parse(data)
    for at in range(len(data)):
        for bit in range(8):
            changed = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            try:
                assert note.parse(changed) != before
            except FormatError:
                continue
            with pytest.raises((SignatureInvalid, FormatError)):
                note.open_note(changed, [alice.verifier])

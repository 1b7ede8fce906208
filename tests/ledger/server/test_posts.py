"""``POST /entries``: each status, and that a post is logged once or not at all."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from dataseal.ledger import entry as entries
from dataseal.ledger.audit import check
from dataseal.ledger.bundle import MAX_BUNDLE
from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.server import limits
from dataseal.ledger.server.settings import Settings
from dataseal.ledger.signers import keyfile
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.tlog.proof import parse_proof, verify_proof
from support.served import Served, receipt, release, serving, signed
from support.workspaces import Bench


def size(served: Served) -> int:
    with served.bench.log.store.view() as view:
        return view.head().size


def problem(answer: Any, status: int, *words: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, Any] = answer.json()
    assert set(told) == {"what", "where", "next"}
    assert all(word in json.dumps(told) for word in words), told
    return told


def test_a_new_entry_is_201_with_its_proof(served: Served) -> None:
    bundle = receipt(served.bench.gate, 1, dataset="posts/new")
    answer = served.post(bundle)
    assert answer.status_code == 201
    told = answer.json()
    (item,) = told["entries"]
    proof = parse_proof(item["proof"].encode())
    assert proof.extra is not None
    assert proof.checkpoint.decode() == told["checkpoint"]
    leaf = entries.leaf_hash(proof.extra, bundle)
    verified = verify_proof(proof, leaf, policy_for_log(served.bench.log.vkey))
    assert (verified.index, item["existed"], "bundle" in item) == (item["index"], False, False)
    assert entries.parse_header(proof.extra).dataset == "posts/new"


def test_a_replay_is_200_and_logs_nothing(served: Served) -> None:
    first = receipt(served.bench.gate, 2, dataset="posts/replay")
    index = served.post(first).json()["entries"][0]["index"]
    before = size(served)
    again = served.post(first)
    resigned = served.post(signed(parse_bundle(first).payload, served.bench.gate))  # ECDSA: another signature
    for answer in (again, resigned):
        (item,) = answer.json()["entries"]
        assert (answer.status_code, item["index"], item["existed"]) == (200, index, True)
        assert item["bundle"].encode() == first
    assert size(served) == before


def test_a_batch_is_logged_in_order_and_all_or_none(served: Served) -> None:
    batch = [receipt(served.bench.gate, n, dataset="posts/batch") for n in range(5)]
    told = served.post(*batch).json()["entries"]
    first = told[0]["index"]
    assert [item["index"] for item in told] == list(range(first, first + 5))
    before = size(served)
    bad = [receipt(served.bench.gate, 9, dataset="posts/batch"), release(served.bench, 7, dataset="posts/batch")]
    problem(served.post(*bad), 409, "sequence 7")
    assert size(served) == before
    mixed = served.post(batch[0], receipt(served.bench.gate, 9, dataset="posts/batch"))
    assert mixed.status_code == 201
    assert [item["existed"] for item in mixed.json()["entries"]] == [True, False]


def _deep(bundle: bytes) -> bytes:
    return b"[" * 5000 + bundle


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda b: b"", "empty"),
        (lambda b: b"hello", "JSON"),
        (lambda b: b[:-1], "JSON"),
        (lambda b: b.replace(b'"signatures"', b'"signature"'), "signature"),
        (lambda b: b.replace(b'{"dsseEnvelope"', b'{"mediaType":"x","dsseEnvelope"'), "duplicate key"),
        (_deep, "nests deeper"),
        (lambda b: b.replace(b"v0.3", b"v0.2"), "media type"),
        (lambda b: b"\xff" + b, "JSON"),
        (lambda b: b'{"a":NaN}', "NaN"),
        (lambda b: b.replace(b'"publicKey"', b'"certificate"'), "certificate"),
    ],
)
def test_malformed_is_400(served: Served, spoil: Any, words: str) -> None:
    before = size(served)
    problem(served.post(spoil(receipt(served.bench.gate, 3, dataset="posts/bad"))), 400, words)
    assert size(served) == before


def test_a_statement_that_breaks_its_format_is_400(served: Served) -> None:
    payload = b'{"_type":"https://in-toto.io/Statement/v1"}'
    problem(served.post(signed(payload, served.bench.gate)), 400, "statement")


def test_a_strangers_signature_is_403_and_names_no_key(served: Served) -> None:
    stranger = keyfile.generate()
    told = problem(served.post(receipt(stranger)), 403, "no key that this log lists")
    assert served.bench.gate.public.fingerprint[:8] not in json.dumps(told)
    forged = json.loads(receipt(stranger))
    forged["verificationMaterial"]["publicKey"]["hint"] = served.bench.gate.public.fingerprint
    problem(served.post(json.dumps(forged).encode()), 403)


def test_an_altered_statement_is_403(served: Served) -> None:
    bundle = json.loads(receipt(served.bench.gate, 4))
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"]).replace(b'"number":4', b'"number":5')
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    problem(served.post(json.dumps(bundle).encode()), 403)


def test_a_listed_key_for_another_kind_is_403(served: Served) -> None:
    problem(served.post(release(served.bench, 1, signer=served.bench.gate)), 403, "release of", "list yours")


def test_a_conflict_is_409(served: Served) -> None:
    dataset = "posts/conflict"
    assert served.post(release(served.bench, 1, dataset=dataset)).status_code == 201
    told = problem(served.post(release(served.bench, 3, dataset=dataset)), 409, "2 comes next")
    assert told["next"]


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
def test_too_large_is_413_by_its_length(served: Served, kind: str) -> None:
    limit = limits.MAX_POST if "nd" in kind else MAX_BUNDLE
    answer = served.client.post("/entries", content=b"x" * (limit + 1), headers={"content-type": kind})
    problem(answer, 413, f"{limit:,}")
    assert answer.headers["connection"] == "close"


def test_too_large_is_413_without_a_length_too(served: Served) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 8192

    answer = served.client.post("/entries", content=endless(), headers={"content-type": "application/json"})
    assert "content-length" not in answer.request.headers
    problem(answer, 413)


def test_a_length_beyond_belief_is_413_before_a_byte_of_it(served: Served) -> None:
    with served.connect() as raw:
        raw.sendall(b"POST /entries HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_encoded_and_foreign_media_types_are_415(served: Served) -> None:
    bundle = receipt(served.bench.gate, 6)
    problem(served.post(bundle, **{"content-encoding": "gzip"}), 415)
    problem(served.client.post("/entries", content=bundle, headers={"content-type": "text/html"}), 415)


def test_more_bundles_than_a_batch_takes_are_400(served: Served) -> None:
    problem(served.post(*[b"{}"] * (limits.MAX_BATCH + 1)), 400, str(limits.MAX_BATCH))


def test_too_many_from_one_address_are_429_until_they_may(bench: Bench) -> None:
    with serving(bench, Settings(rate=0.6, burst=2, total_rate=0)) as served:
        answers = [served.post(receipt(bench.gate, n)) for n in range(5)]
        assert [a.status_code for a in answers][:2] == [201, 201]
        limited = next(a for a in answers if a.status_code == 429)
        problem(limited, 429, "your address")
        assert limited.headers["retry-after"] in ("1", "2")
        assert served.client.get("/checkpoint").status_code == 200  # reading is not limited
        assert 'dataseal_rate_limited_total{limit="address"}' in served.client.get("/metrics").text


def test_all_addresses_together_are_limited_too(bench: Bench) -> None:
    with serving(bench, Settings(rate=0, total_rate=0.01, total_burst=1)) as served:
        assert served.post(receipt(bench.gate, 1)).status_code == 201
        limited = served.post(receipt(bench.gate, 2))
        problem(limited, 429)
        assert int(limited.headers["retry-after"]) > 30


def test_a_draining_server_takes_no_further_post(bench: Bench) -> None:
    with serving(bench) as served:
        served.server.service.draining = True
        answer = served.post(receipt(bench.gate, 1))
        problem(answer, 503, "shutting down")
        assert answer.headers["retry-after"] == "2"
        assert served.client.get("/readyz").status_code == 503
        assert served.client.get("/healthz").status_code == 200


def test_a_head_that_a_crash_left_unsigned_is_signed_at_the_start(bench: Bench) -> None:
    bench.log.checkpoint = lambda: b""  # type: ignore[method-assign]  # the process died before it signed
    bench.log.append([receipt(bench.gate, 1)])
    with bench.log.store.view() as view:
        assert view.head().note is None
    with serving(bench) as served:
        assert served.client.get("/checkpoint").status_code == 200
        assert served.client.get("/readyz").json() == {"ready": True, "reason": None}
    assert check(bench.again()).clean

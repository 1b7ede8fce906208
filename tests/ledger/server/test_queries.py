"""``GET /entries``: what is found, in pages, each entry with what verifies it."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from dataseal.ledger import entry as entries
from dataseal.ledger.server import limits
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.policy import policy_for_log
from support.served import Served, receipt, release


@pytest.fixture(scope="module", autouse=True)
def _filled(served: Served) -> None:
    gate = served.bench.gate
    for name in ("a/one", "b/two"):
        for bundle in (release(served.bench, 1, dataset=name), *(receipt(gate, n, dataset=name) for n in range(4))):
            served.bench.log.append([bundle])  # each at a time of its own


def ask(served: Served, **parameters: Any) -> dict[str, Any]:
    answer = served.client.get("/entries", params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def indexes(served: Served, **parameters: Any) -> list[int]:
    return [item["index"] for item in ask(served, **parameters)["entries"]]


def times(served: Served) -> list[str]:
    with served.bench.log.store.view() as view:
        return [row.logged_at for row in view.entries()]


def test_by_dataset_kind_signer_and_subject(served: Served) -> None:
    gate, publisher = served.bench.gate.public.fingerprint, served.bench.publisher.public.fingerprint
    assert indexes(served) == list(range(9, -1, -1))
    assert indexes(served, dataset="a/one") == [4, 3, 2, 1, 0]
    assert indexes(served, kind="release") == [5, 0]
    assert indexes(served, dataset="b/two", kind="receipt") == [9, 8, 7, 6]
    assert indexes(served, signer=publisher) == [5, 0]
    assert indexes(served, signer=gate, dataset="b/two", limit=2) == [9, 8]
    assert indexes(served, subject="22" * 32) == [5, 0]  # a root
    assert indexes(served, subject="00" * 32) == list(range(9, -1, -1))  # a shard table
    assert indexes(served, subject="33" * 32) == []
    assert indexes(served, dataset="nobody/knows") == []


@pytest.mark.parametrize("kind", entries.ENTRY_KINDS)
def test_every_kind_of_entry_can_be_asked_for(served: Served, kind: str) -> None:
    assert all(one in range(10) for one in indexes(served, kind=kind))


def test_by_time(served: Served) -> None:
    at = times(served)
    assert at == sorted(set(at))
    assert indexes(served, since=at[3], until=at[5]) == [5, 4, 3]
    assert indexes(served, until=at[0]) == [0]
    assert indexes(served, since=at[9]) == [9]
    assert indexes(served, since="2999-01-01T00:00:00Z") == []
    assert indexes(served, until="1999-01-01T00:00:00Z") == []
    assert indexes(served, since=at[4], until=at[3]) == []


def test_pages_meet_and_end(served: Served) -> None:
    seen: list[int] = []
    before: int | None = None
    while True:
        page = ask(served, dataset="a/one", limit=2, **({} if before is None else {"before": before}))
        seen += [item["index"] for item in page["entries"]]
        before = page["before"]
        if before is None:
            break
    assert seen == [4, 3, 2, 1, 0]


def test_a_page_is_bounded_in_bytes(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PAGE_BYTES", 1)
    page = ask(served, dataset="a/one")
    assert ([item["index"] for item in page["entries"]], page["before"]) == ([4], 4)


@pytest.mark.parametrize("size", [None, 1, 7, 10])
def test_every_answer_verifies_at_the_size_asked_for(served: Served, size: int | None) -> None:
    page = ask(served, **({} if size is None else {"size": size}))
    with served.bench.log.store.view() as view:
        root = merkle.root_at(view, page["size"])
    if size is None:
        checked = policy_for_log(served.bench.log.vkey).check(page["checkpoint"].encode())
        assert (checked.checkpoint.size, checked.checkpoint.root) == (page["size"], root)
    else:
        assert page["size"] == size
        assert "checkpoint" not in page
    assert len(page["entries"]) == page["size"]
    for item in page["entries"]:
        leaf = entries.leaf_hash(item["header"].encode(), item["bundle"].encode())
        proof = [b64decode(value) for value in item["hashes"]]
        merkle.verify_inclusion(index=item["index"], size=page["size"], leaf=leaf, proof=proof, root=root)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=x", "before=-1", "size=-1", "kind=nothing", "signer=ABC", "subject=zz",
        "since=yesterday", "until=2026-01-01", "unknown=1", "dataset=" + "x" * 201, "before=99999999999999999999",
        "since=2026-01-02T03:04:05Z%0A",
    ],
)  # fmt: skip
def test_what_is_no_question_is_400(served: Served, query: str) -> None:
    answer = served.client.get(f"/entries?{query}")
    assert answer.status_code == 400
    assert set(answer.json()) == {"what", "where", "next"}
    assert answer.json()["where"].startswith("query.")


def test_a_size_that_is_not_reached_is_404(served: Served) -> None:
    assert served.client.get("/entries?size=11").status_code == 404


def test_an_injection_finds_nothing(served: Served) -> None:
    assert indexes(served, dataset="x' OR '1'='1") == []
    assert indexes(served, dataset="%") == []

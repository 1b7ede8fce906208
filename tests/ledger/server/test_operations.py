"""Health, metrics and the page."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from dataseal.ledger.errors import Unavailable
from dataseal.ledger.server import page
from dataseal.ledger.server.problem import Problem, dumps
from support.served import Served, receipt, serving
from support.workspaces import Bench


def test_an_empty_log_is_live_ready_and_has_no_checkpoint(bench: Bench) -> None:
    with serving(bench) as served:
        assert served.client.get("/healthz").json() == {"live": True}
        assert served.client.get("/readyz").json() == {"ready": True, "reason": None}
        assert served.client.get("/checkpoint").status_code == 404
        assert served.client.get("/entries").json() == {"before": None, "checkpoint": None, "entries": [], "size": 0}
        assert "None yet" in served.client.get("/").text


def test_a_store_that_is_locked_is_not_ready_and_says_no_more(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    service = served.server.service

    def locked() -> str:
        raise Unavailable("the ledger /srv/secret/ledger.sqlite is locked")

    monkeypatch.setattr(service, "_judge", locked)
    monkeypatch.setattr(service, "_ready", None)
    answer = served.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "reason": "the store can't be written"})


def test_what_nobody_expected_is_500_without_a_word_of_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str) -> None:
        raise RuntimeError(f"/srv/secret {path}")

    monkeypatch.setattr(served.server.service.files, "read", broken)
    answer = served.client.get("/checkpoint")
    assert answer.status_code == 500
    assert set(answer.json()) == {"what", "where", "next"}
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_metrics_have_no_label_that_a_client_can_make(served: Served) -> None:
    served.post(receipt(served.bench.gate, 1))
    for n in range(8):
        served.client.get(f"/tile/0/{n + 1:03}")
        served.client.get(f"/made-up-{n}")
        served.client.request(f"M{n}", "/checkpoint")
        served.client.get("/checkpoint", headers={"host": f"h{n}.example"})
    text = served.client.get("/metrics").text
    series = [line for line in text.splitlines() if line.startswith("dataseal_http_requests_total")]
    assert len(series) < 20
    assert {re.search('route="([^"]*)"', line)[1] for line in series} <= {  # type: ignore[index]
        "/tile/{path:path}", "/checkpoint", "/entries", "/metrics", "/readyz", "other",
    }  # fmt: skip
    assert 'dataseal_http_requests_total{method="other"' in text
    assert 'dataseal_entries_total{result="logged"} 1.0' in text
    assert "dataseal_log_entries 1.0" in text
    assert "dataseal_group_entries_count 1.0" in text


def test_the_page_loads_and_runs_nothing(served: Served) -> None:
    served.post(receipt(served.bench.gate, 1))
    answer = served.client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    style = re.search("<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style is not None
    assert b64encode(sha256(style[1].encode()).digest()).decode() in policy
    assert not re.search("<script|<img|<link|<iframe| on[a-z]+=|src=", answer.text)
    assert served.bench.log.vkey.replace("+", "&#43;") in answer.text or served.bench.log.vkey in answer.text
    assert "acme/reviews@1.0.0" in answer.text


def test_the_page_escapes_what_came_from_outside(bench: Bench) -> None:
    bench.log.origin = '<script>"&'  # type: ignore[misc]
    html = page.render(bench.log)
    assert "<script>" not in html
    assert "&lt;script&gt;&#34;&amp;" in html


def test_problems_are_ascii_and_bounded() -> None:
    response = Problem(400, "\x1b[31m\u202eevil\n" + "x" * 9999, hint="<b>").response()
    assert bytes(response.body).isascii()
    assert b"\x1b" not in response.body
    assert len(response.body) < 1000
    assert dumps({"a": "é"}) == b'{"a":"\\u00e9"}'

"""The read API of tlog-tiles: every resource, its headers, and nothing else."""

from __future__ import annotations

import gzip

import pytest

from dataseal.ledger.fetch import WebResources
from dataseal.ledger.follow import open_tree
from dataseal.ledger.resources import StoreResources
from dataseal.ledger.server.reads import accepts_gzip, matches
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.tlog.tile import new_bundles, tiles_for
from support.served import Served, receipt

SIZE = 258
FOR_EVER = "public, max-age=31536000, immutable"
RAW = {"accept-encoding": "identity"}


@pytest.fixture(scope="module", autouse=True)
def _filled(served: Served) -> None:
    served.bench.log.append([receipt(served.bench.gate, n) for n in range(SIZE)])


def test_every_resource_is_what_the_store_holds(served: Served) -> None:
    resources = StoreResources(served.bench.log.store, "store")
    paths = ["checkpoint", *(tile.path for tile in (*tiles_for(SIZE), *new_bundles(0, SIZE)))]
    assert {"tile/0/000", "tile/0/001.p/2", "tile/1/000.p/1", "tile/entries/001.p/2"} < set(paths)
    for path in paths:
        answer = served.client.get(f"/{path}", headers=RAW)
        assert (answer.status_code, answer.content) == (200, resources.read(path)), path


def test_a_client_that_trusts_the_key_alone_reads_the_whole_log(served: Served) -> None:
    resources = WebResources(served.url)
    tree = open_tree(resources, policy_for_log(served.bench.log.vkey))
    assert [leaf.index for leaf in tree.entries()] == list(range(SIZE))
    resources._client.close()


def test_the_checkpoint_is_asked_for_anew_and_tiles_are_kept_for_ever(served: Served) -> None:
    head = served.client.get("/checkpoint")
    assert head.headers["content-type"] == "text/plain; charset=utf-8"
    assert head.headers["cache-control"] == "no-cache"
    for path in ("/tile/0/000", "/tile/0/001.p/2", "/tile/entries/000", "/tile/entries/001.p/2"):
        answer = served.client.get(path)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == FOR_EVER
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/checkpoint", "/tile/0/000", "/tile/entries/001.p/2", "/"])
def test_head_is_get_without_the_body(served: Served, path: str) -> None:
    head, get = served.client.head(path), served.client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    same = ("content-type", "content-length", "cache-control", "etag")
    assert [head.headers.get(name) for name in same] == [get.headers.get(name) for name in same]


@pytest.mark.parametrize("path", ["/checkpoint", "/tile/0/000", "/tile/0/001.p/2", "/tile/entries/000"])
def test_who_has_it_gets_304(served: Served, path: str) -> None:
    tag = served.client.get(path, headers=RAW).headers["etag"]
    assert tag.startswith('"')  # strong
    for condition in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        answer = served.client.get(path, headers={**RAW, "if-none-match": condition})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
        assert "cache-control" in answer.headers
    assert served.client.get(path, headers={**RAW, "if-none-match": '"other"'}).status_code == 200


def test_only_entry_bundles_are_compressed_and_only_for_who_accepts_it(served: Served) -> None:
    plain = served.client.get("/tile/entries/000", headers=RAW)
    with served.client.stream("GET", "/tile/entries/000", headers={"accept-encoding": "gzip"}) as packed:
        data = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(data) == plain.content
    assert len(data) < len(plain.content) / 2
    assert packed.headers["etag"] != plain.headers["etag"]  # strong tags are of the bytes sent
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in plain.headers
    for path in ("/checkpoint", "/tile/0/000"):
        assert "content-encoding" not in served.client.get(path, headers={"accept-encoding": "gzip"}).headers


@pytest.mark.parametrize(
    "path",
    [
        "/tile/0/001",  # partial still
        "/tile/0/001.p/3",
        "/tile/0/001.p/0",
        "/tile/0/000.p/256",
        "/tile/0/002",
        "/tile/00/000",
        "/tile/64/000",
        "/tile/0/0",
        "/tile/0/x000/001",
        "/tile/entries/002",
        "/tile/entries/001.p/3",
        "/tile/0/-01",
        "/tile/0/000/",
        "/tile/0/000%00",
        "/tile/" + "x999/" * 50 + "000",
        "/tile/0/%f0%28%8c%28",
        "/checkpoint/",
        "/nothing",
        "/tile/../checkpoint",
        "/tile/%2e%2e/%2e%2e/keys/log.key",
        "/.git/config",
    ],
)
def test_what_is_not_there_is_404_and_not_kept(served: Served, path: str) -> None:
    with served.connect() as raw:  # a client library would tidy the path up
        raw.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    status, headers = answer.split(b"\r\n", 1)
    assert status == b"HTTP/1.1 404 Not Found"
    assert b"cache-control: no-store" in headers


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/tile/0/000"), ("PUT", "/checkpoint"), ("POST", "/checkpoint")]
)
def test_other_methods_are_405(served: Served, method: str, path: str) -> None:
    answer = served.client.request(method, path)
    assert answer.status_code == 405
    assert set(answer.json()) == {"what", "where", "next"}


def test_a_name_that_points_to_loopback_does_not_open_a_private_log(served: Served) -> None:
    for host in ("evil.example", f"evil.example:{served.port}", "127.0.0.1.evil.example", ""):
        answer = served.client.get("/checkpoint", headers={"host": host})
        assert answer.status_code == 421, host
    for host in ("localhost", f"LOCALHOST:{served.port}", f"[::1]:{served.port}"):
        assert served.client.get("/checkpoint", headers={"host": host}).status_code == 200, host


@pytest.mark.parametrize(
    ("accepted", "yes"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("GZIP", True), ("", False), ("identity", False),
     ("gzip;q=0", False), ("gzip; q=0.000", False), ("*;q=0", False), ("br", False), ("gzip;q=0, *", False)],
)  # fmt: skip
def test_accept_encoding(accepted: str, yes: bool) -> None:
    assert accepts_gzip(accepted) is yes


def test_if_none_match_compares_whole_tags() -> None:
    assert matches('"a", W/"b"', "b")
    assert not matches('"ab"', "a")
    assert not matches("", "a")
    assert not matches("a", "a")

"""Where a static log is: folders, buckets and web servers answer alike, within bounds, and never "not there" for "can't tell"."""  # noqa: E501

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from dataseal.ledger import fetch, places
from dataseal.ledger.errors import FormatError, Unavailable, UsageError
from dataseal.ledger.fetch import WebResources, open_source, post
from dataseal.ledger.places import Destination, Folder, open_destination
from dataseal.ledger.tlog.tile import Tile
from support.errors import refused

PARTIAL = "tile/0/000.p/2"
DATA = b"x" * 64


@pytest.fixture(params=["folder", "file url", "memory", "not atomic"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Destination:
    if request.param == "folder":
        return open_destination(str(tmp_path / "out"))
    if request.param == "file url":
        return open_destination(f"file://{tmp_path}/out")
    if request.param == "not atomic":
        monkeypatch.setattr(places, "ATOMIC", frozenset())
    return open_destination(f"memory://{uuid.uuid4()}")


class TestEveryPlace:
    def test_gives_back_what_was_put(self, place: Destination) -> None:
        with place.writing():
            place.put(PARTIAL, DATA)
            place.put("checkpoint", b"one")
            place.put("checkpoint", b"two")
            place.settle()
        assert (place.read(PARTIAL), place.read("checkpoint")) == (DATA, b"two")

    def test_says_none_for_what_is_not_there(self, place: Destination) -> None:
        assert place.read("checkpoint") is None
        assert place.read("tile/entries/000") is None

    def test_leaves_nothing_else_behind(self, place: Destination, tmp_path: Path) -> None:
        with place.writing():
            place.put("checkpoint", b"one")
        assert [p.name for p in tmp_path.rglob("*") if p.is_file()] in ([], ["checkpoint"])

    def test_discards_the_partials_of_a_full_tile_and_no_others(self, place: Destination) -> None:
        with place.writing():
            for path in (PARTIAL, "tile/0/000.p/1", "tile/0/001.p/2"):
                place.put(path, DATA[: 32 * int(path[-1])])
            place.discard_partials(Tile(0, 0))
            place.discard_partials(Tile(0, 7))
        assert place.read(PARTIAL) is None
        assert place.read("tile/0/000.p/1") is None
        assert place.read("tile/0/001.p/2") == DATA

    def test_refuses_a_resource_larger_than_it_can_be(self, place: Destination) -> None:
        with place.writing():
            place.put(PARTIAL, DATA + b"x")
        with refused(FormatError, "64 bytes", PARTIAL):
            place.read(PARTIAL)

    @pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "tile/0/../../x", "keys/log.key", ""])
    def test_reads_only_paths_of_a_log(self, place: Destination, path: str) -> None:
        with refused(FormatError):
            place.read(path)


class TestFolder:
    def test_a_pipe_of_that_name_does_not_hang(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "checkpoint")
        with refused(FormatError, "not a file"):
            Folder(tmp_path).read("checkpoint")

    def test_a_folder_that_may_not_be_read_is_not_an_empty_log(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denied(*_: object, **__: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(places.os, "open", denied)
        with refused(Unavailable, "Permission denied"):
            Folder(tmp_path).read("checkpoint")

    def test_two_publishers_take_turns(self, tmp_path: Path) -> None:
        with Folder(tmp_path).writing(), refused(Unavailable, "another process"), Folder(tmp_path).writing():
            pass

    def test_a_link_in_the_way_of_a_new_file_is_not_followed(self, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_bytes(b"mine")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / ".checkpoint.new").symlink_to(victim)
        with refused(Unavailable), Folder(tmp_path / "out").writing():
            Folder(tmp_path / "out").put("checkpoint", b"x")
        assert victim.read_bytes() == b"mine"


class TestUrls:
    def test_an_unknown_scheme_is_misuse(self) -> None:
        with refused(UsageError, "nope"):
            open_destination("nope://x")

    def test_a_web_server_is_not_published_to(self) -> None:
        with refused(UsageError, "web server"):
            open_destination("https://log.example")

    def test_a_library_that_is_missing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import fsspec

        def missing(_url: str) -> None:
            raise ImportError("Install s3fs to access S3")

        monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
        with refused(UsageError, "s3", "s3fs"):
            open_destination("s3://bucket/log")

    @pytest.mark.parametrize(
        ("url", "network"),
        [("/srv/log", False), ("log", False), ("file:/x", False), ("memory://x", False), ("s3://x", True),
         ("https://x", True), ("hf://datasets/a/b", True)],
    )  # fmt: skip
    def test_tells_what_needs_the_network(self, url: str, network: bool) -> None:
        assert places.is_network(url) is network

    def test_a_password_is_not_shown(self) -> None:
        assert places.without_secrets("https://me:secret@log.example/x") == "https://log.example/x"
        assert WebResources("https://me:secret@log.example/x").name == "https://log.example/x"


Answer = Callable[[httpx2.Request], httpx2.Response]


def web(*answers: httpx2.Response | Exception) -> tuple[WebResources, list[str], list[float]]:
    """A web server that gives these answers, the last one again and again; what was asked; the pauses made."""
    asked: list[str] = []
    paused: list[float] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    resources = WebResources("https://log.example/a/", transport=httpx2.MockTransport(handle), pause=paused.append)
    return resources, asked, paused


class TestWeb:
    def test_reads_below_its_prefix(self) -> None:
        log, asked, _ = web(httpx2.Response(200, content=DATA))
        assert log.read(PARTIAL) == DATA
        assert asked == [f"https://log.example/a/{PARTIAL}"]

    @pytest.mark.parametrize("status", [404, 410])
    def test_what_is_not_there_is_none(self, status: int) -> None:
        assert web(httpx2.Response(status))[0].read("checkpoint") is None

    def test_a_bucket_that_may_not_be_listed_lacks_partial_tiles_alone(self) -> None:
        log, _, _ = web(httpx2.Response(403))
        assert log.read(PARTIAL) is None
        with refused(Unavailable, "403"):
            log.read("tile/0/000")
        with refused(Unavailable, "403"):
            log.read("checkpoint")

    @pytest.mark.parametrize("status", [401, 204, 304, 418])
    def test_any_other_answer_is_no_verdict(self, status: int) -> None:
        with refused(Unavailable, str(status)):
            web(httpx2.Response(status))[0].read("checkpoint")

    def test_a_passing_failure_is_tried_again(self) -> None:
        failing = (httpx2.Response(503), httpx2.ReadTimeout("slow"))
        log, asked, paused = web(*failing, httpx2.Response(200, content=b"x"))
        assert log.read("checkpoint") == b"x"
        assert (len(asked), paused) == (3, [0.25, 1.0])

    @pytest.mark.parametrize("failure", [httpx2.Response(429), httpx2.Response(500), httpx2.ConnectError("refused")])
    def test_a_lasting_failure_is_no_verdict(self, failure: httpx2.Response | Exception) -> None:
        log, asked, _ = web(failure)
        with refused(Unavailable, "log.example/a/checkpoint"):
            log.read("checkpoint")
        assert len(asked) == fetch.RETRIES + 1

    def test_an_endless_answer_is_cut_off(self) -> None:
        given = []

        def endless() -> Iterator[bytes]:
            while True:
                given.append(1)
                yield b"x" * 65_536

        log, _, _ = web(httpx2.Response(200, content=endless()))
        with refused(FormatError, "64 bytes"):
            log.read(PARTIAL)
        assert len(given) < 5

    def test_an_answer_that_drips_ends_at_the_deadline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        times = iter(range(0, 10_000, 40))
        monkeypatch.setattr(fetch.time, "monotonic", lambda: next(times))
        log, _, _ = web(httpx2.Response(200, content=iter([b"x"] * 60)))
        with refused(Unavailable, "60 seconds"):
            log.read(PARTIAL)

    def test_redirects_are_followed_and_loops_end(self) -> None:
        moved = httpx2.Response(302, headers={"location": "https://cdn.example/x"})
        assert web(moved, httpx2.Response(200, content=DATA))[0].read(PARTIAL) == DATA
        with refused(Unavailable):
            web(moved)[0].read(PARTIAL)

    def test_no_url_is_misuse(self) -> None:
        with refused(UsageError, "not a URL"):
            open_source("https://x:port").read("checkpoint")


class TestPost:
    def test_is_taken_by_a_2xx_alone_and_follows_nothing(self) -> None:
        for status in (200, 202, 204):
            post(
                "https://hook.example/s", b"{}", transport=httpx2.MockTransport(lambda _, s=status: httpx2.Response(s))
            )
        for status in (302, 400, 500):
            transport = httpx2.MockTransport(
                lambda _, s=status: httpx2.Response(s, headers={"location": "https://x.example"})
            )
            with refused(Unavailable, str(status)):
                post("https://hook.example/s", b"{}", transport=transport)

    def test_a_secret_in_the_url_is_not_told(self) -> None:
        def down(_: httpx2.Request) -> httpx2.Response:
            raise httpx2.ConnectError("https://hook.example/secret failed")

        with pytest.raises(Unavailable) as caught:
            post("https://hook.example/secret", b"{}", transport=httpx2.MockTransport(down))
        assert "secret" not in f"{caught.value} {caught.value.hint}"

"""Threads, processes and crashes: check and set are one step, and what was answered is on the disk."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import parse_body
from dataseal.ledger.witness.answer import Outcome
from dataseal.ledger.witness.client import Witnesses
from support.witnessing import NOW, ORIGIN, Tree, cosigner, make_state, opened, policy

W1 = cosigner("w1")
TESTS = str(Path(__file__).parents[2])


def test_threads_never_get_two_roots_for_one_size(tmp_path):
    base = Tree.of(4)
    forks = [base.fork(4, 12, f"fork {i}") for i in range(6)]
    cosigned = []
    with opened(tmp_path / "w.sqlite", W1) as witness:
        assert witness.add_checkpoint(base.request(0)).status == 200
        start = threading.Barrier(len(forks))

        def submit(tree):
            start.wait()
            for size in range(5, 17):
                for old in range(4, size + 1):
                    if witness.add_checkpoint(tree.request(old, size)).status == 200:
                        cosigned.append((size, tree.root(size)))
                        break

        threads = [threading.Thread(target=submit, args=(tree,)) for tree in forks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(dict(cosigned)) == len(set(cosigned))
        assert len({next(i for i, t in enumerate(forks) if t.root(size) == root) for size, root in cosigned}) == 1
        assert {e.kind for e in witness.state.evidence(ORIGIN)} & {"fork", "unproven"}


PROCESS = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from support.witnessing import Tree, cosigner, opened
tree = Tree.of(4).fork(4, 30, sys.argv[1])
with opened(Path({path!r}), cosigner("w1")) as witness:
    print("ready", flush=True)
    sys.stdin.readline()
    size = old = 4
    while size < 34:
        reply = witness.add_checkpoint(tree.request(old, size))
        if reply.status == 200:
            print(size, tree.root(size).hex(), flush=True)
            old, size = size, size + 1
        elif reply.status == 409:
            old = int(reply.body)
            size = max(size, old)
        else:
            break
"""


def test_two_processes_never_get_two_roots_for_one_size(tmp_path):
    path = tmp_path / "w.sqlite"
    make_state(path, W1).close()
    code = PROCESS.format(tests=TESTS, path=str(path))
    processes = [
        subprocess.Popen([sys.executable, "-c", code, name], stdin=-1, stdout=-1, text=True) for name in ("a", "b")
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    cosigned = [
        tuple(line.split()) for process in processes for line in process.communicate(timeout=60)[0].splitlines()
    ]
    assert [process.returncode for process in processes] == [0, 0]
    assert len(dict(cosigned)) == len(set(cosigned))
    assert max(int(size) for size, _ in cosigned) == 33


CRASH = """
import os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from support.witnessing import App, Server, cosigner, opened
from dataseal.ledger.witness.witness import Witness
decide = Witness.add_checkpoint
def die(self, body):
    {when}
Witness.add_checkpoint = die
with opened(Path({path!r}), cosigner("w1")) as witness:
    server = Server(App(witness), host="127.0.0.1", port=0)
    print(server.url, flush=True)
    server.run()
"""

DIE_UNRECORDED = """from dataseal.ledger.witness.state import Decision
    Decision.advance = lambda *_: os.kill(os.getpid(), 9)
    decide(self, body)"""


@pytest.mark.parametrize(
    ("when", "kept"),
    [
        ("decide(self, body); os.kill(os.getpid(), 9)", True),  # on the disk, and not answered
        (DIE_UNRECORDED, False),  # signed, and not on the disk: the signature never left
    ],
)
def test_a_crash_between_the_record_and_the_answer(tmp_path, when, kept):
    path, log = tmp_path / "w.sqlite", Tree.of(5)
    make_state(path, W1).close()
    code = CRASH.format(tests=TESTS, path=str(path), when=when)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=-1, text=True)
    url = process.stdout.readline().strip()
    client = Witnesses(policy((W1, url)), clock=lambda: NOW)
    asked = client.ask(log.checkpoint(), log)
    assert process.wait(20) == -9
    process.stdout.close()
    assert [a.outcome for a in asked.answers] == [Outcome.UNAVAILABLE]
    # Started again, it stands by what it recorded, and cosigns nothing else.
    with opened(path, W1) as witness:
        latest = witness.state.latest(ORIGIN)
        assert (latest.size if latest else None) == (5 if kept else None)
        if kept:
            assert witness.add_checkpoint(log.fork(4, 1).request(5)).status == 422
            assert witness.add_checkpoint(log.request(0)).body == b"5\n"
            assert parse_body(notes.parse(latest.note).text).root == log.root()
        assert witness.add_checkpoint(log.request(5 if kept else 0)).status == 200

"""What every adapter speaks: ``{"jobs": […]}`` on standard input, ``{"version", "results"}`` on standard output.

An adapter runs in the foreign tool's own environment, so this needs the standard library alone. Bytes are base64.
A job has an ``op`` and its arguments::

    read    folder, origin, keys, inclusions, consistency    reads a whole log → head, checked
    notes   notes, origin, keys                              opens each checkpoint → verdicts
    write   folder, origin, private, entries                 writes a log of its own → head

``inclusions`` are ``{"index", "leaf", "hashes"}`` and ``consistency`` ``{"size", "root", "hashes"}``: proofs of ours. A
tool makes each proof itself from the tiles if it can, must get the same, and verifies it. A result, or a verdict, is
what the tool found or ``{"error"}``: what it refused. Only the exceptions that an adapter names are refusals; any
other is a fault of the adapter and ends it, so that no test takes one for a flipped byte that was found.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from typing import Any

Operation = Callable[[dict[str, Any]], dict[str, Any]]


def serve(version: str, operations: dict[str, Operation], refusals: tuple[type[Exception], ...]) -> None:
    """Runs the jobs; ``refusals`` are the exceptions with which the tool refuses."""
    results = [attempt(lambda job=job: operations[job["op"]](job), refusals) for job in json.load(sys.stdin)["jobs"]]
    json.dump({"version": version, "results": results}, sys.stdout)


def attempt(action: Callable[[], dict[str, Any]], refusals: tuple[type[Exception], ...]) -> dict[str, Any]:
    """What ``action`` gives, or its refusal."""
    try:
        return action()
    except refusals as error:
        return {"error": f"{type(error).__name__}: {error}"}


def verdicts(
    job: dict[str, Any], open_note: Callable[[bytes], dict[str, Any]], refusals: tuple[type[Exception], ...]
) -> dict[str, Any]:
    """Opens each of the job's notes."""
    notes = [decode(text) for text in job["notes"]]
    return {"verdicts": [attempt(lambda note=note: {"head": open_note(note)}, refusals) for note in notes]}


def head(origin: str, size: int, root: bytes) -> dict[str, Any]:
    """A tree head as the answers hold it."""
    return {"origin": origin, "size": size, "root": base64.b64encode(root).decode()}


def decode(text: str) -> bytes:
    """Bytes of a job."""
    return base64.b64decode(text)


def demand(condition: bool, what: str) -> None:
    """The adapter's own comparisons: a `ValueError`, which every adapter counts as a refusal."""
    if not condition:
        raise ValueError(what)

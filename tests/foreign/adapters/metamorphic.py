"""metamorphic-log: verifies notes, checkpoints and proofs. It reads no tiles, so that the proofs are all ours."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import jobs
import metamorphic_log as metamorphic

REFUSALS = (metamorphic.VerifyError, ValueError)  # a note that is not UTF-8 can't even be handed in


def open_checkpoint(data: bytes, job: dict[str, Any]) -> dict[str, Any]:
    head = metamorphic.checkpoint_verify(data.decode(), job["keys"])
    jobs.demand(head.origin == job["origin"], "another origin")
    return jobs.head(head.origin, head.size, head.root)


def read(job: dict[str, Any]) -> dict[str, Any]:
    data = Path(job["folder"], "checkpoint").read_bytes()
    head = open_checkpoint(data, job)
    for ours in job["inclusions"]:
        hashes = [jobs.decode(text) for text in ours["hashes"]]
        metamorphic.checkpoint_verify_inclusion(
            data.decode(), job["keys"], ours["index"], jobs.decode(ours["leaf"]), hashes
        )
    for ours in job["consistency"]:
        hashes = [jobs.decode(text) for text in ours["hashes"]]
        metamorphic.verify_consistency(
            ours["size"], head["size"], hashes, jobs.decode(ours["root"]), jobs.decode(head["root"])
        )
    return {"head": head, "checked": 1 + len(job["inclusions"]) + len(job["consistency"])}


def notes(job: dict[str, Any]) -> dict[str, Any]:
    return jobs.verdicts(job, lambda data: open_checkpoint(data, job), REFUSALS)


if __name__ == "__main__":
    jobs.serve(f"metamorphic-log {version('metamorphic-log')}", {"read": read, "notes": notes}, REFUSALS)

"""Key announcements that travel with a dataset: shown, with the command that accepts them, and never followed.

The trust document alone decides who signs. Somebody whom it names may announce another key in the log; so may a thief
of that somebody's key. So nothing changes until a person has asked, by another way than this one, and run the command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from dataseal.ledger import bundle as bundles
from dataseal.ledger import seal
from dataseal.ledger import statement as statements
from dataseal.ledger.endorse import Endorsement, endorse
from dataseal.ledger.errors import DatasealError, Unavailable
from dataseal.ledger.trust import Trust

MAX_REASON: Final = 200
"""Characters that are shown, quoted: whoever wrote them may want them to be read as ours."""

ReadSeal = Callable[[str, int], bytes | None]


def announced(read: ReadSeal, names: Sequence[str], trust: Trust, *, now: datetime) -> list[str]:
    """One line for each key that a trusted signer announces and that is not trusted yet.

    Args:
        read: gives a file of the seal. names: the seal's files.

    Raises:
        Unavailable: a file can't be read.
    """
    lines = []
    for index in seal.history(dict.fromkeys(names)):
        try:
            found = _announcement(read, index, trust, now)
        except Unavailable:
            raise
        except DatasealError:
            continue  # nobody whom we trust says so; what else is wrong with the file, the history says
        if found is not None and (line := _line(found, trust)):
            lines.append(line)
    return list(dict.fromkeys(lines))


def _announcement(read: ReadSeal, index: int, trust: Trust, now: datetime) -> Endorsement | None:
    raw = read(seal.history_name(index, "sigstore.json"), seal.MAX_SMALL)
    proof = read(seal.history_name(index, "tlog-proof"), seal.MAX_SMALL)
    if raw is None or proof is None or statements.parse(bundles.parse(raw).payload).kind != "key":
        return None
    found = endorse(raw, trust, proof=proof, now=now)
    return found if found.place is not None and found.place.index == index else None


def _line(found: Endorsement, trust: Trust) -> str | None:
    statement = found.verified.statement
    announcement = statement.announcement()
    key = announcement.public_key()
    if any(credential.fingerprint == key.fingerprint for credential in trust.credentials):
        return None
    assert found.place is not None
    who = "/".join(found.names)
    name = found.names[0] if ":" not in found.names[0] else "NAME"
    reason = announcement.reason[:MAX_REASON]
    return (
        f"{who} announces key {key.fingerprint[:16]} for {statement.dataset} in entry {found.place.index} (its reason: "
        f"{reason!r}). It is not trusted: a thief of {who}'s key can announce one too. Ask another way whether it is "
        f"right, and then run: dataseal trust add {name} --key spki:{key.to_spki()}"
    )

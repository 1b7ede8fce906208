"""Reads a trust document from its file; ``trust_model.py`` has its format."""

from __future__ import annotations

from pathlib import Path

from dataseal.ledger.errors import UsageError
from dataseal.ledger.trust import GROUP, Trust
from dataseal.verifiers.policy import files, trust_load, yamlfile
from dataseal.verifiers.policy.problems import Problems, did_you_mean, listed, quoted
from dataseal.verifiers.policy.schema import validate_trust
from dataseal.verifiers.policy.yamlfile import Path as Place


def read(path: Path) -> Trust:
    """Reads and loads a trust document, with the keys, certificates and logs that it names.

    Raises:
        PolicyError: mistakes in it, all of them, each with its place. UsageError: no such file.
    """
    return parse(files.read(path, yamlfile.MAX_BYTES, "trust file"), str(path), path.parent)


def parse(text: bytes, name: str, base: Path) -> Trust:
    """Loads a trust document from its bytes; files that it names lie in ``base``.

    Raises:
        PolicyError: mistakes in it.
    """
    problems = Problems(what="trust document")
    document = yamlfile.read(text, name, problems)
    model = validate_trust(document, problems)
    problems.check()
    assert model is not None

    def tell(place: Place, message: str, hint: str | None = None) -> None:
        problems.add(document.source, document.mark(place), message, hint)

    found = trust_load.load(model, base, tell)
    groups = dict(model.groups)
    for group, members in groups.items():
        for number, member in enumerate(members):
            if member not in model.signers:
                hint = listed("signers", model.signers)
                guess = did_you_mean(member, model.signers)
                tell(("groups", group, number), f"unknown signer {quoted(member)}{guess}", hint)
    for number, reference in enumerate(model.moderators or ()):
        known = groups if reference.startswith(GROUP) else model.signers
        if reference.removeprefix(GROUP) not in known:
            tell(("moderators", number), f"unknown name {quoted(reference)}", listed("signers", model.signers))
    for name, signer in model.signers.items():
        for below, item in signer.items():
            for log in item.compromised.logs if item.compromised else ():
                if log not in model.logs:
                    place = ("signers", name, *below, "compromised", "logs", log)
                    tell(place, f"unknown log {quoted(log)}{did_you_mean(log, model.logs)}", listed("logs", model.logs))
    problems.check()
    try:
        return Trust(found.signers, groups, found.logs, model.moderators or (), found.authorities)
    except UsageError as error:
        raise UsageError(error.what, where=name, hint=error.hint) from None

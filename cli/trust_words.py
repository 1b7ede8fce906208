"""Between a trust document and a person: what the options of `dataseal trust add` mean, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.ledger.trust import Listed, Trust
    from dataseal.verifiers.policy.trust_edit import TrustEditor


def apply(editor: TrustEditor, name: str, given: Mapping[str, Any]) -> str:
    """Makes the edit that options ask for; returns it in words.

    Raises:
        UsageError: options that do not go together, or a file that can't be read.
    """
    kinds = [kind for kind in ("key", "identity", "log", "tsa") if given[kind]]
    if len(kinds) != 1:
        raise UsageError(
            f"what is {name!r}?", hint="give one of --key, --identity (with --roots or --issuer), --log and --tsa"
        )
    if kinds[0] in ("log", "tsa"):
        only = {"log", "operator"} if kinds[0] == "log" else {"tsa"}
        if extra := [option for option, value in given.items() if value and option not in only]:
            option = {"groups": "group"}.get(extra[0], extra[0]).replace("_", "-")
            raise UsageError(
                f"--{option} says something of a signer, and --{kinds[0]} makes none", hint=f"leave --{option} out"
            )
        if name in (editor.trust.logs if kinds[0] == "log" else editor.trust.authorities):
            raise UsageError(
                f"{name!r} is there already", hint=f"`dataseal trust remove {name}` first, or give it another name"
            )
        if kinds[0] == "log":
            editor.add_log(name, _log(given["log"]), given["operator"])
            return f"trusting log {name}"
        editor.add_authority(name, _text(given["tsa"], "certificate file"))
        return f"trusting timestamp authority {name}"
    new = editor.add_credential(name, _credential(given))
    for group in given["groups"]:
        editor.join(group, name)
    if given["moderator"]:
        editor.moderate(name)
    known = name in editor.trust.signers
    what = "one more credential of" if known and new else "the validity of a credential of" if known else "signer"
    return f"trusting {what} {name}"


def _credential(given: Mapping[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = {}
    if given["key"]:
        item["key"] = _key(given["key"])
    elif bool(given["roots"]) == bool(given["issuer"]):
        raise UsageError(
            f"who vouches for {given['identity']!r}?",
            hint="give --roots PEM for a certified name, or --issuer URL for a Sigstore identity; never neither",
        )
    elif given["roots"]:
        item["x509"] = {"roots": _text(given["roots"], "certificate file"), "identity": given["identity"]}
    else:
        item["sigstore"] = _sigstore(given)
    if given["match"]:
        if given["key"]:
            raise UsageError("--match compares identities, and a key is a key", hint="leave --match out")
        item["x509" if given["roots"] else "sigstore"]["match"] = given["match"]
    for field in ("valid_from", "valid_until"):
        if given[field]:
            item[field] = given[field]
    compromised: dict[str, Any] = {}
    if given["compromised_since"]:
        compromised["since"] = given["compromised_since"]
    for value in given["compromised_at"]:
        log, equals, index = value.rpartition("=")
        if not equals or not index.isdigit():
            raise UsageError(f"--compromised-at {value!r} is not LOG=INDEX", hint="such as --compromised-at main=40")
        compromised.setdefault("logs", {})[log] = int(index)
    return {**item, "compromised": compromised} if compromised else item


def _sigstore(given: Mapping[str, Any]) -> dict[str, Any]:
    from dataseal.ledger.digest import sha256
    from dataseal.ledger.trustedroot import MAX_ROOT, shipped_root
    from dataseal.verifiers.policy import files

    name = given["trust_root"] or f"{files.SHIPPED_ROOT}public-good"
    if name.startswith(files.SHIPPED_ROOT):
        data = shipped_root(name.removeprefix(files.SHIPPED_ROOT))
    else:
        data = files.read(Path(name), MAX_ROOT, "Sigstore trusted root")
        name = str(Path(name).resolve())
    found = {"identity": given["identity"], "issuer": given["issuer"]}
    return {**found, "trust_root": name, "sha256": sha256(data).hex()}


def _key(value: str) -> str:
    from dataseal.ledger.signers.keyfile import load_public
    from dataseal.verifiers.policy import files

    try:
        key = files.public_key(value, None) if value.startswith(files.SPKI) else load_public(Path(value))
    except UsageError as error:
        hint = error.hint or "give a public key file (.pub), or spki: and the base64 of a SubjectPublicKeyInfo"
        raise UsageError(f"--key: {error.what}", where=error.where, hint=hint) from None
    return key.pem().decode()


def _log(value: str) -> str:
    from dataseal.ledger.tlog.limits import MAX_POLICY_BYTES
    from dataseal.verifiers.policy import files

    if not Path(value).exists() and "+" in value:
        return value
    text = files.read(Path(value), MAX_POLICY_BYTES, "log file").decode("utf-8", "replace")
    return text.strip() if len(text.split()) == 1 else text


def _text(path: Path, what: str) -> str:
    from dataseal.verifiers.policy import files

    return files.read(path, files.MAX_CERTIFICATES, what).decode("utf-8", "replace")


def describe(trust: Trust, wanted: str | None = None) -> str:
    """A trust document for people, or what one name in it means."""
    from dataseal.cli.render import Report
    from dataseal.verifiers.policy import trust_digest

    _demand_known(trust, wanted)
    report = Report()
    for signer in trust.signers.values():
        if wanted in (None, signer.name):
            for number, one in enumerate(signer.listed):
                report.pair(
                    "signer" if number == 0 else "", f"{signer.name if number == 0 else '  and'}  {_listed(one)}"
                )
    for group, members in trust.groups.items():
        if wanted in (None, group, *members):
            report.pair("group", f"{group}: {', '.join(members)}")
    if trust.moderators and wanted is None:
        report.pair("moderators", ", ".join(trust.moderators))
    for log in trust.logs.values():
        if wanted in (None, log.name):
            keys = ", ".join(one.key.vkey for one in log.policy.logs)
            report.pair("log", f"{log.name}: {log.operator}, quorum {log.policy.quorum} of "
                               f"{len(log.policy.witnesses)} witnesses, {keys}")  # fmt: skip
    for name, tsa in trust.authorities.items():
        if wanted in (None, name):
            report.pair("tsa", f"{name}: roots {tsa.fingerprint}")
    if wanted is None:
        report.pair("digest", trust_digest.digest(trust))
    return str(report)


def document(trust: Trust, wanted: str | None = None) -> dict[str, Any]:
    """The same as JSON values: what decides, with labels."""
    from dataseal.verifiers.policy import trust_digest

    _demand_known(trust, wanted)
    found = trust_digest.deciding(trust)
    labels = {one.credential.fingerprint: one.credential.label for s in trust.signers.values() for one in s.listed}
    for items in found["signers"].values():
        for item in items:
            item["label"] = labels[item["credential"]]
    if wanted is None:
        return found
    kept = ("signers", "groups", "logs", "timestamp_authorities")
    return {kind: {name: value for name, value in found[kind].items() if name == wanted} for kind in kept}


def _demand_known(trust: Trust, wanted: str | None) -> None:
    known = (*trust.signers, *trust.groups, *trust.logs, *trust.authorities)
    if wanted is not None and wanted not in known:
        raise UsageError(f"nothing is called {wanted!r} in the trust document", hint=f"known: {', '.join(known)}")


def _listed(one: Listed) -> str:
    said = [one.credential.label if one.credential.scheme in ("x509", "sigstore") else one.credential.scheme]
    said.append(one.credential.fingerprint)
    said += [f"{word} {time:%Y-%m-%dT%H:%M:%SZ}"
             for word, time in (("from", one.valid_from), ("until", one.valid_until)) if time]  # fmt: skip
    if one.compromised:
        since = [f"{one.compromised.since:%Y-%m-%dT%H:%M:%SZ}"] if one.compromised.since else []
        at = [f"entry {index} of {log}" for log, index in one.compromised.logs.items()]
        said.append(f"COMPROMISED since {', '.join(since + at)}")
    return ", ".join(said)

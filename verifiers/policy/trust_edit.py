"""Edits a trust document's file and keeps its comments (``ruamel.yaml``'s round trip).

What is written has been read back with the strict reader first: an edit that would break the document changes nothing.
Keys, certificates and logs go into the document as text, so that it is whole by itself.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from dataseal.ledger.durable import write_whole
from dataseal.ledger.errors import Unavailable, UsageError
from dataseal.ledger.trust import GROUP, Trust
from dataseal.verifiers.policy import files, trust_file, trust_model, yamlfile

HEAD: Final = (
    "# Whom we trust: signers, groups, logs. `dataseal trust --help` edits it, and so may you.\ndataseal_trust: 1\n"
)
SECTIONS: Final = {"signer": "signers", "log": "logs", "timestamp authority": "timestamp_authorities"}


class TrustEditor:
    """One trust document, to be changed and saved.

    Args:
        path: the file; a new document when there is none.

    Raises:
        PolicyError: the file is no valid trust document. UsageError: it can't be read.
    """

    def __init__(self, path: Path) -> None:
        from ruamel.yaml import YAML

        self.path = path
        self._yaml = YAML(typ="rt")
        self._yaml.width = 4096  # nothing is folded that a person did not fold
        self._yaml.preserve_quotes = True
        text = HEAD.encode()
        self.trust = Trust()
        if path.exists():
            text = files.read(path, yamlfile.MAX_BYTES, "trust file")
            self.trust = trust_file.parse(text, str(path), path.parent)
        self._data: Any = self._yaml.load(text)

    def add_credential(self, name: str, item: Mapping[str, Any]) -> bool:
        """Lists a credential for signer ``name``; one that the signer has already gets the validity that is given.

        What is not given stays, and of two compromises the earlier: no edit but one of the file itself, or a removal,
        lifts one.

        Returns:
            Whether it is new.

        Raises:
            UsageError: another signer's listing says that it is compromised, which holds under every name.
        """
        signers = self._section("signers")
        present = signers.get(name)
        item = _literal(item)
        self._demand_sound(name, item)
        if present is None:
            signers[name] = item
            return True
        items = present.get("credentials", [present])
        for number, old in enumerate(items):
            if self._fingerprint(old) == self._fingerprint(item):
                items[number] = item = _merged(old, item)
                signers[name] = {"credentials": items} if len(items) > 1 else item
                return False
        signers[name] = {"credentials": [*items, item]}
        return True

    def _demand_sound(self, name: str, item: Mapping[str, Any]) -> None:
        """A credential that is compromised as somebody else's gets no second name: it would count for nothing there."""
        fingerprint, present = self._fingerprint(item), self.trust.signers.get(name)
        if present and fingerprint in present.fingerprints:
            return  # this is an edit of what is there
        for other, one in self.trust.compromises:
            if one.credential.fingerprint == fingerprint:
                raise UsageError(
                    f"this credential is compromised: the document says so of signer {other!r}",
                    where=str(self.path),
                    hint="a compromise holds under every name: list a new key",
                )

    def add_log(self, name: str, text: str, operator: str | None) -> None:
        """Lists a log, by its verifier key or the text of its tlog-policy."""
        value: Any = _literal(text)
        self._section("logs")[name] = {"policy": value, "operator": operator} if operator else value

    def add_authority(self, name: str, pem: str) -> None:
        """Lists a timestamp authority, by its PEM roots."""
        self._section("timestamp_authorities")[name] = _literal(pem)

    def join(self, group: str, name: str) -> None:
        """Makes a signer a member of a group, which is made when there is none."""
        groups = self._section("groups")
        if name not in groups.setdefault(group, []):
            groups[group].append(name)

    def moderate(self, reference: str) -> None:
        """Makes a signer or ``group:NAME`` a moderator."""
        found = self._data.setdefault("moderators", [])
        if isinstance(found, str):
            found = self._data["moderators"] = [found]
        if reference not in found:
            found.append(reference)

    def remove(self, name: str) -> list[str]:
        """Removes what has this name: a signer with its memberships, a group, a log, a timestamp authority.

        Returns:
            What was removed, in words.

        Raises:
            UsageError: nothing has this name.
        """
        removed = []
        for what, section in (*SECTIONS.items(), ("group", "groups")):
            if name in self._data.get(section, {}):
                del self._data[section][name]
                removed.append(f"{what} {name}")
        if not removed:
            known = sorted(self.trust.signers) + sorted(self.trust.groups) + sorted(self.trust.logs)
            raise UsageError(f"nothing is called {name!r}", where=str(self.path), hint=f"known: {', '.join(known)}")
        if f"signer {name}" in removed:
            removed += self._leave_groups(name)
        self._leave("moderators", self._data, name if f"signer {name}" in removed else f"{GROUP}{name}")
        for section in (*SECTIONS.values(), "groups"):
            if section in self._data and not self._data[section]:
                del self._data[section]
        return removed

    def save(self) -> Trust:
        """Writes the document, when it is valid; gives it as it is now.

        Raises:
            PolicyError, UsageError: it would not be valid; nothing was written. Unavailable: it can't be written.
        """
        stream = io.BytesIO()
        self._yaml.dump(self._data, stream)
        text = stream.getvalue()
        trust = trust_file.parse(text, str(self.path), self.path.parent)
        try:
            write_whole(self.path, text)
        except OSError as error:
            raise Unavailable(
                f"can't write the trust document: {error.strerror}", where=str(self.path), hint="check permissions"
            ) from None
        self.trust = trust
        return trust

    def _section(self, name: str) -> Any:
        if name not in self._data:
            self._data[name] = {}
        return self._data[name]

    def _leave_groups(self, name: str) -> list[str]:
        removed = []
        for group in list(self._data.get("groups", {})):
            if self._leave(group, self._data["groups"], name):
                removed.append(f"its place in group {group}")
            if group not in self._data["groups"]:
                self._leave("moderators", self._data, f"{GROUP}{group}")
        return removed

    def _leave(self, key: str, holder: Any, name: str) -> bool:
        members = holder.get(key, [])
        if isinstance(members, str):
            members = holder[key] = [members]
        if name not in members:
            return False
        members.remove(name)
        if not members:
            del holder[key]  # an empty list is no list: whatever refers to it is an error from now on
        return True

    def _fingerprint(self, item: Mapping[str, Any]) -> str | None:
        """The credential's fingerprint; None when it can't be loaded, which `save` tells."""
        plain = {kind: item[kind] for kind in ("key", "x509", "sigstore") if kind in item}
        document = {"dataseal_trust": 1, "signers": {"it": plain}}
        stream = io.BytesIO()
        self._yaml.dump(document, stream)
        try:
            found = trust_file.parse(stream.getvalue(), str(self.path), self.path.parent)
        except UsageError:
            return None
        return next(iter(found.signers["it"].fingerprints))


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    kept = {field: old[field] for field in ("valid_from", "valid_until", "compromised") if field in old}
    found = {**new, **kept, **{field: new[field] for field in kept if field in new}}
    if "compromised" in old and "compromised" in new:
        was, now = old["compromised"], new["compromised"]
        logs = {**was.get("logs", {}), **now.get("logs", {})}
        logs |= {name: min(logs[name], index) for name, index in was.get("logs", {}).items()}
        found["compromised"] = {**was, **now, **({"logs": logs} if logs else {})}
        if "since" in was and "since" in now:
            found["compromised"]["since"] = min(was["since"], now["since"], key=_moment)
    return found


def _moment(value: object) -> datetime:
    """When a compromise begins, in each form that YAML reads. What is no time is last here, and `save` refuses it."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, datetime.min.time())
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        return trust_model.moment(value, end=False)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)


def _literal(value: Any) -> Any:
    """Texts of several lines as YAML literals, which people can read."""
    from ruamel.yaml.scalarstring import LiteralScalarString

    if isinstance(value, Mapping):
        return {key: _literal(item) for key, item in value.items()}
    return LiteralScalarString(value) if isinstance(value, str) and "\n" in value else value

"""The vocabulary of trust documents: a policy's ``trust:`` block, or a file of its own.

A file has one field more, its version. One example (``tests/verifiers/policy/test_trust_file.py`` parses it)::

    dataseal_trust: 1
    signers:
      amy: {key: keys/amy.pub, valid_until: 2027-06-30}
      ben:
        credentials:                       # several of one person
          - {key: keys/ben-2025.pub, compromised: {since: 2026-03-01T09:30:00Z, logs: {main: 40}}}
          - {key: keys/ben-2026.pub, valid_from: 2026-03-01}
      corp: {x509: {roots: keys/corp-ca.pem, identity: "email:release@corp.example"}}
    groups: {publishers: [amy, ben]}
    moderators: ["group:publishers"]
    logs: {main: {policy: keys/main.tlog-policy, operator: independent}}
    timestamp_authorities: {tsa: keys/corp-ca.pem}

Files are named relative to the document; keys and certificates may stand in it as PEM instead. A day stands for its
first moment in ``valid_from`` and ``since`` and for its last in ``valid_until``, in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

MAX_ITEMS: Final = 1000
"""Items of any list: rules, groups and requirements are written by people."""

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_LAST = datetime(9999, 12, 31, tzinfo=UTC)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z\Z")


def moment(value: object, *, end: bool) -> datetime:
    """A day or time as the document writes it; ``end`` of a day is its last moment.

    Raises:
        ValueError: neither.
    """
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _DAY.match(value):
        midnight = datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
        if not end:
            return midnight
        # The last day of all has no day after it: its last second ends it.
        return midnight + timedelta(days=1) if midnight < _LAST else midnight + timedelta(days=1, seconds=-1)
    if isinstance(value, str) and _MOMENT.match(value):
        return datetime.fromisoformat(value)
    raise ValueError("a day such as 2027-06-30, or a time in UTC such as 2027-06-30T12:00:00Z")


def _from(value: object) -> datetime:
    return moment(value, end=False)


def _until(value: object) -> datetime:
    return moment(value, end=True)


def _log(value: object) -> object:
    return {"policy": value} if isinstance(value, str) else value


def one_or_many(value: object) -> object:
    """A text alone stands for a list of one."""
    return [value] if isinstance(value, str) else value


Name = Annotated[str, StringConstraints(pattern=_NAME)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Pem = Annotated[str, StringConstraints(min_length=1, max_length=16 * 1024)]
Pems = Annotated[str, StringConstraints(min_length=1, max_length=64 * 1024)]
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Match = Literal["exact", "glob", "regex"]
_Items = Field(strict=False, min_length=1, max_length=MAX_ITEMS)
_Some = Field(min_length=1, max_length=MAX_ITEMS)
Names = Annotated[tuple[Name, ...], _Items]
References = Annotated[tuple[Text, ...], _Items, BeforeValidator(one_or_many)]
Since = Annotated[datetime, BeforeValidator(_from)]
Until = Annotated[datetime, BeforeValidator(_until)]


class Model(BaseModel):
    """Strict types, no unknown field, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CertifiedModel(Model):
    """A name under roots: ``email:``, ``URI:``, ``DNS:`` or ``CN:``; roots are a PEM file or PEM."""

    roots: Pems
    identity: Text
    match: Match = "exact"


class SigstoreModel(Model):
    """A Sigstore identity, who vouches for it, and the instance: its trusted root, which counts by its digest only.

    ``trust_root`` is a file, or ``sigstore:public-good`` or ``sigstore:staging``, which the sigstore package ships::

        ci:
          sigstore:
            identity: https://github.com/acme/data/.github/workflows/release.yml@refs/tags/*
            match: glob                    # exact by default; `*` stops at a slash, `**` does not
            issuer: https://token.actions.githubusercontent.com
            sha256: <64 hexadecimal digits>
    """

    identity: Text
    issuer: Text
    match: Match = "exact"
    trust_root: Text = "sigstore:public-good"
    sha256: Hex


class CompromisedModel(Model):
    """From when on others may have signed: the first index that does not count, by log; and a time."""

    since: Since | None = None
    logs: Annotated[dict[Name, Annotated[int, Field(ge=0, le=2**53 - 1)]], _Some] = {}

    @model_validator(mode="after")
    def _begins(self) -> Self:
        if self.since is None and not self.logs:
            raise ValueError("since: a time, or logs: {NAME: first index}; remove a credential that never counts")
        return self


class CredentialModel(Model):
    """One credential: exactly one of ``key``, ``x509`` and ``sigstore``, and when it is valid."""

    key: Pem | None = None
    x509: CertifiedModel | None = None
    sigstore: SigstoreModel | None = None
    valid_from: Since | None = None
    valid_until: Until | None = None
    compromised: CompromisedModel | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        _check_credential(self)
        return self


class SignerModel(Model):
    """One credential as `CredentialModel` has it, or a list of them."""

    key: Pem | None = None
    x509: CertifiedModel | None = None
    sigstore: SigstoreModel | None = None
    valid_from: Since | None = None
    valid_until: Until | None = None
    compromised: CompromisedModel | None = None
    credentials: Annotated[tuple[CredentialModel, ...], _Items] | None = None

    @model_validator(mode="after")
    def _one_or_list(self) -> Self:
        if self.credentials is None:
            _check_credential(self)
        elif self.model_fields_set != {"credentials"}:
            raise ValueError("`credentials` stands alone: what is beside it belongs into its items")
        return self

    def items(self) -> tuple[tuple[tuple[str | int, ...], CredentialModel | SignerModel], ...]:
        """Its credentials, each with its path below the signer."""
        if self.credentials is None:
            return (((), self),)
        return tuple((("credentials", number), item) for number, item in enumerate(self.credentials))


def _check_credential(item: CredentialModel | SignerModel) -> None:
    if sum(x is not None for x in (item.key, item.x509, item.sigstore)) != 1:
        raise ValueError("exactly one of key, x509 and sigstore")
    if item.valid_from and item.valid_until and item.valid_from >= item.valid_until:
        raise ValueError("valid_from before valid_until")


class LogModel(Model):
    """``policy``: a C2SP tlog-policy file beside the document, or its text, or a verifier key."""

    policy: Pem
    operator: Literal["self-operated", "independent"] = "self-operated"


class TrustModel(Model):
    """The only signers, logs and authorities that exist. ``file`` names another document, pinned by its digest."""

    signers: Annotated[dict[Name, SignerModel], _Some] = {}
    groups: Annotated[dict[Name, Names], _Some] = {}
    moderators: References | None = None
    logs: Annotated[dict[Name, Annotated[LogModel, BeforeValidator(_log)]], _Some] = {}
    timestamp_authorities: Annotated[dict[Name, Pems], _Some] = {}
    file: Text | None = None
    sha256: Hex | None = None

    @model_validator(mode="after")
    def _embedded_or_named(self) -> Self:
        if self.file is None and self.sha256 is None:
            return self
        if self.model_fields_set != {"file", "sha256"}:
            raise ValueError("file and sha256 (what `dataseal trust digest FILE` prints), and nothing beside them")
        return self


class TrustFile(TrustModel):
    """A trust document as a file."""

    dataseal_trust: Annotated[int, Field(ge=1, le=1)]

    @model_validator(mode="after")
    def _final(self) -> Self:
        if self.file is not None:
            raise ValueError("the document itself: a trust file names no other one")
        return self

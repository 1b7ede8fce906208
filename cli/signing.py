"""Options of every command that signs: with which key, certificate or identity, and who timestamps it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from dataseal.cli.passphrase import unlocking
from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.cli.context import Context
    from dataseal.ledger.credential import Signer as Recognised
    from dataseal.ledger.log import Log
    from dataseal.ledger.remote.log import RemoteLog
    from dataseal.ledger.signers.base import KeyedSigner, Signer
    from dataseal.ledger.signers.keyless import KeylessSigner
    from dataseal.ledger.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])

MAX_FILE: Final = 1024 * 1024
"""Bytes of a chain, a token or a trust config; each takes a few kilobytes."""

_OPTIONS = (
    click.option("--key", metavar="URI", help="The signer's private key: a file, env:NAME, awskms:, gcpkms:, "
                 "azurekms:, hashivault:, hsm: or gnupg:. Default: the workspace's publisher key."),
    click.option("--certificate", type=click.Path(path_type=Path), metavar="CHAIN",
                 help="Sign as the name that the key's certificate says: a PEM file, leaf first, then its issuers."),
    click.option("--keyless", is_flag=True, help="Sign with a Sigstore identity instead of a key: the CI job's, or "
                 "whoever logs in. Identity and a digest of the statement become public in the instance's log."),
    click.option("--identity-token", metavar="TOKEN|FILE|-", help="The OIDC token to sign with (implies --keyless)."),
    click.option("--staging", is_flag=True, help="Sigstore's staging instance, for trials (implies --keyless)."),
    click.option("--trust-config", type=click.Path(path_type=Path), metavar="FILE",
                 help="A private Sigstore instance: its client trust config (implies --keyless)."),
    click.option("--tsa", metavar="URL", help="Have an RFC 3161 authority timestamp the signature."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class How:
    """What the options say."""

    key: str | None
    certificate: Path | None
    keyless: bool
    identity_token: str | None
    staging: bool
    trust_config: Path | None
    tsa: str | None

    @classmethod
    def none(cls) -> How:
        """No option given."""
        return cls(None, None, False, None, False, None, None)

    @property
    def with_identity(self) -> bool:
        """Whether a Sigstore identity signs."""
        return self.keyless or self.staging or self.identity_token is not None or self.trust_config is not None

    def check(self, *, offline: bool) -> None:
        """Whether the options go together.

        Raises:
            UsageError: they don't.
        """
        if self.with_identity and (self.key or self.certificate):
            raise UsageError(
                "a key and a Sigstore identity at once",
                hint="give --key and --certificate, or the options of --keyless; `dataseal cosign` adds another signer",
            )
        if self.staging and self.trust_config:
            raise UsageError("--staging and --trust-config name two Sigstore instances", hint="give one of them")
        if self.with_identity and self.tsa:
            raise UsageError(
                "--tsa with a Sigstore identity: its verifiers accept timestamps of their own instance only",
                hint="leave --tsa out; the instance's log and its authority say when it was signed",
            )
        if offline and (self.with_identity or self.tsa):
            raise UsageError(
                f"--offline and {'--tsa' if self.tsa else '--keyless'}: both need the network",
                hint="sign with a key and without --tsa",
            )


def signing(function: F) -> F:
    """Adds the options, and hands them to the command as ``how``."""
    names = [field.name for field in fields(How)]

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, how=How(**{name: options.pop(name) for name in names}), **options)

    wrapped: Any = unlocking(call)
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def signed_by(signer: Recognised) -> str:
    """Who signed, for people: a key by its whole fingerprint, a certified name or an identity by itself."""
    return f"{signer.scheme} {signer.label if signer.scheme in ('x509', 'sigstore') else signer.fingerprint}"


def open_for_signing(context: Context, workspace: Workspace, how: How) -> tuple[Log | RemoteLog, Signer]:
    """The workspace's log, and who signs.

    Raises:
        UsageError: options that contradict each other, or a key, certificate or token that can't be used.
    """
    how.check(offline=context.offline)
    signer = _keyless(how) if how.with_identity else _keyed(context, workspace, how)
    return context.open_log(workspace, sign=True), signer


def open_key(context: Context, workspace: Workspace, uri: str | None, name: str) -> KeyedSigner:
    """The key of ``--key``, or the one that the workspace calls ``name``; a file that others may read is warned about.

    Raises:
        UsageError: it can't be used. Unavailable: a key service does not answer.
    """
    from dataseal.ledger.signers import uri as uris

    named = uri if uri is not None else workspace.key_uri(name)
    if context.offline and uris.split(named)[0] in uris.NETWORK:
        raise UsageError(f"--offline, and the key service of {named} needs the network", hint="sign with another key")
    path = uris.file_of(named, None if uri is not None else workspace.folder)
    if path is not None:
        context.warn_readable(path)
    return uris.open_key(uri, context.passphrase) if uri is not None else workspace.signer(name, context.passphrase)


def _keyed(context: Context, workspace: Workspace, how: How) -> Signer:
    from dataseal.cli.context import now

    key = open_key(context, workspace, how.key, "publisher")
    signer: Signer = key
    if how.certificate is not None:
        from dataseal.ledger.signers.certificate import certified

        chain = _read(how.certificate, "certificate file")
        signer = certified(key, chain, now=now(), where=str(how.certificate))
    if how.tsa is not None:
        from dataseal.ledger.signers.timestamping import TimestampClient, Timestamped

        signer = Timestamped(signer, TimestampClient(how.tsa))
    return signer


def _keyless(how: How) -> KeylessSigner:
    from dataseal.ledger.signers.keyless import KeylessSigner, identity_token, instance

    given = _token(how.identity_token) if how.identity_token is not None else None
    config = _read(how.trust_config, "trust config") if how.trust_config is not None else None
    chosen = instance(config, staging=how.staging)
    person = sys.stdin.isatty() and sys.stderr.isatty()
    return KeylessSigner(chosen, identity_token(chosen, given=given, browser=person))


def _token(value: str) -> str:
    """A token itself (a JWT has two dots), a file's, or standard input's; others can see what a command line holds."""
    if value == "-":
        text = sys.stdin.read(MAX_FILE)
    elif Path(value).is_file():
        text = _read(Path(value), "identity token").decode("ascii", "replace")
    elif value.count(".") == 2:
        text = value
    else:
        raise UsageError(f"no such file: {value[:200]}", hint="give --identity-token a token, a file with it, or -")
    if not text.strip():
        raise UsageError("the identity token is empty", hint="get a fresh one, for the audience `sigstore`")
    return text.strip()


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise UsageError(
            f"the {what} can't be read: {error.strerror}", where=str(path), hint="check the path"
        ) from None
    if len(data) > MAX_FILE:
        raise UsageError(f"the {what} has more than {MAX_FILE:,} bytes", where=str(path), hint="give another file")
    return data

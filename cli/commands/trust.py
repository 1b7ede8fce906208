"""``dataseal trust``: the trust document."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dataseal.cli.context import Context, common
from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.verifiers.policy.trust_edit import TrustEditor

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.option("--trust", "file", type=click.Path(path_type=Path), metavar="FILE",
                     help="The trust document; default: the workspace's trust.yaml.")  # fmt: skip


@click.group("trust")
def command() -> None:
    """Look at and edit a trust document: signers, groups, logs, timestamp authorities. Nothing else is ever trusted.

    `verify`, `screen` and `gate` take it with --trust FILE, and a policy embeds it or names it with its digest.
    """


_ADD = (
    click.option("--key", metavar="PUBKEY", help="A public key: a file, or spki:BASE64."),
    click.option("--roots", type=click.Path(path_type=Path), metavar="PEM",
                 help="With --identity: CA certificates, under which the name is certified."),
    click.option("--identity", metavar="NAME",
                 help="A certified name (email:…, URI:…, DNS:…, CN:…), or with --issuer a Sigstore identity."),
    click.option("--issuer", metavar="URL", help="Who vouches for a Sigstore identity."),
    click.option("--trust-root", metavar="FILE",
                 help="The Sigstore instance's trusted root; default: the public one's, as sigstore ships it."),
    click.option("--match", type=click.Choice(["exact", "glob", "regex"]), help="How --identity is compared."),
    click.option("--log", "log", metavar="VKEY", help="NAME is a log: its verifier key, or a tlog-policy file."),
    click.option("--operator", type=click.Choice(["self-operated", "independent"]), help="With --log: who runs it."),
    click.option("--tsa", type=click.Path(path_type=Path), metavar="PEM",
                 help="NAME is a timestamp authority: its CA certificates."),
    click.option("--valid-from", metavar="DAY", help="A day or time in UTC, such as 2027-06-30."),
    click.option("--valid-until", metavar="DAY", help="The last day, or a time in UTC."),
    click.option("--compromised-since", metavar="DAY", help="Others may have signed since then."),
    click.option("--compromised-at", multiple=True, metavar="LOG=INDEX",
                 help="…or from this entry of a log of the document on; repeatable."),
    click.option("--group", "groups", multiple=True, metavar="NAME", help="Make the signer a member; repeatable."),
    click.option("--moderator", is_flag=True, help="Make the signer a moderator."),
)  # fmt: skip


def _adding(function: F) -> F:
    wrapped: Any = function
    for option in reversed(_ADD):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


@command.command("add")
@click.argument("name")
@_adding
@_FILE
@common
def add(context: Context, name: str, file: Path | None, **given: Any) -> None:
    """Trust NAME: a signer by a credential, a log, or a timestamp authority.

    A signer that is there already gets one more credential; one that it has already, the validity that is given: what
    is not given stays.
    """
    from dataseal.cli import trust_words

    editor = _editor(context, file)
    before = editor.trust
    what = trust_words.apply(editor, name, given)
    after = editor.save()
    _tell(context, editor, "trust add", what, changed=before != after)


@command.command("remove")
@click.argument("name")
@_FILE
@common
def remove(context: Context, name: str, file: Path | None) -> None:
    """Remove the signer, group, log or timestamp authority NAME. A signer leaves its groups."""
    editor = _editor(context, file, must_exist=True)
    removed = editor.remove(name)
    editor.save()
    _tell(context, editor, "trust remove", f"removed {', '.join(removed)}", changed=True)


@command.command("list")
@_FILE
@common
def list_(context: Context, file: Path | None) -> None:
    """List everybody and everything that the document trusts."""
    _show(context, file, "trust list", None)


@command.command("show")
@click.argument("name", required=False)
@_FILE
@common
def show(context: Context, name: str | None, file: Path | None) -> None:
    """Show one signer, group or log, or all of them: credentials, validity, groups."""
    _show(context, file, "trust show", name)


@command.command("digest")
@click.argument("document", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@_FILE
@common
def digest(context: Context, document: Path | None, file: Path | None) -> None:
    """Print the digest of what the document decides: a policy that names it pins this."""
    from dataseal.verifiers.policy import trust_digest

    if document and file:
        raise UsageError("a file and --trust: which of the two?", hint="name one of them")
    found = trust_digest.digest(_editor(context, document or file, must_exist=True).trust)
    context.emit(found, lambda: {"command": "trust digest", "digest": found})


def _editor(context: Context, file: Path | None, *, must_exist: bool = False) -> TrustEditor:
    from dataseal.ledger.workspace import TRUST
    from dataseal.verifiers.policy.trust_edit import TrustEditor

    path = file or context.workspace().folder / TRUST
    if must_exist and not path.exists():
        raise UsageError(f"no trust document {path}", hint="`dataseal trust add NAME --key FILE` makes one")
    return TrustEditor(path)


def _tell(context: Context, editor: TrustEditor, name: str, what: str, *, changed: bool) -> None:
    from dataseal.cli.render import Report
    from dataseal.verifiers.policy import trust_digest

    found = trust_digest.digest(editor.trust)
    report = Report()
    report.line(what if changed else f"{what}: nothing changed, it was like that")
    report.pair("document", str(editor.path))
    report.pair("digest", found)
    context.emit(
        str(report),
        lambda: {"command": name, "what": what, "changed": changed, "document": str(editor.path), "digest": found},
    )


def _show(context: Context, file: Path | None, name: str, wanted: str | None) -> None:
    from dataseal.cli import trust_words
    from dataseal.verifiers.policy import trust_digest

    trust = _editor(context, file, must_exist=True).trust
    context.emit(
        trust_words.describe(trust, wanted),
        lambda: {
            "command": name,
            "digest": trust_digest.digest(trust),
            "trust": trust_words.document(trust, wanted),
        },
    )

"""``dataseal evidence``: what others signed about a release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataseal.cli.context import Context, common, now
from dataseal.cli.trusting import make_policy, trusting
from dataseal.ledger.errors import Unavailable, UsageError, VerificationError

if TYPE_CHECKING:
    from dataseal.verifiers.evidence import VerifiedEvidence

_FILE = click.Path(path_type=Path)


@click.group("evidence")
def command() -> None:
    """List and verify what was signed about a release besides the release itself (`dataseal attest`)."""


@command.command("list")
@click.argument("target")
@click.option("--to", type=_FILE, metavar="DIR", help="Write each bundle and its proof there.")
@common
def list_(context: Context, target: str, to: Path | None) -> None:
    """List the ledger's evidence about TARGET: NAME@VERSION, or a release's folder. It says who signed, not whether to
    believe it: `evidence verify` does.
    """
    from dataseal.cli.evidence import write
    from dataseal.cli.evidence_text import attached, listed
    from dataseal.cli.render import Report, count, safe
    from dataseal.ledger import evidence

    workspace = context.workspace(Path(target))
    log = context.open_log(workspace, sign=to is not None)
    release = evidence.release_of(target, log)
    with log.store.view() as view:
        found = list(evidence.evidence_about(view, release))
        files = evidence.exported(found, log, view, workspace.objects) if to else {}
    if to:
        write(to, files)
    report = Report()
    for item in found:
        report.line(f"{item.index:>4}  {safe(item.logged_at)}  {safe(item.predicate_type)}{attached(item)}")
        report.line(f"      signed by {safe(item.signer[:16])}")
    report.line(
        f"{count(len(found), 'entry', 'entries')} of evidence about {safe(release.dataset)}@{safe(release.version)}"
    )
    context.emit(
        str(report),
        lambda: {
            "command": "evidence list",
            "dataset": release.dataset,
            "version": release.version,
            "evidence": [listed(item) for item in found],
        },
    )


@command.command("subject")
@click.argument("target")
@common
def subject(context: Context, target: str) -> None:
    """Print the in-toto subject that evidence about TARGET has, for tools that sign it elsewhere."""
    from dataseal.cli.render import dumps
    from dataseal.ledger import evidence

    release = (
        evidence.sealed(Path(target))
        if Path(target).is_dir()
        else evidence.release_of(target, context.open_log(context.workspace()))
    )
    value = {
        "name": f"{release.dataset}@{release.version}",
        "digest": {"sha256": release.table, "datasealRoot": release.root},
    }
    context.emit(dumps(value), lambda: value)


@command.command("verify")
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@click.option(
    "--target", type=_FILE, metavar="DIR", help="The release that it must be about: a folder with .dataseal/."
)
@click.option("--type", "types", multiple=True, metavar="URI", help="The predicate type that is expected; repeatable.")
@click.option("--no-log", is_flag=True, help="Do not check that a log holds it.")
@trusting
@common
def verify(
    context: Context,
    files: tuple[Path, ...],
    target: Path | None,
    types: tuple[str, ...],
    no_log: bool,
    policy: str | None,
    publishers: tuple[str, ...],
    logs: tuple[str, ...],
    datasets: tuple[str, ...],
) -> int:
    """Verify that a trusted signer made each FILE (NAME.sigstore.json), about the right release.

    The proof (NAME.tlog-proof), and an attached predicate (NAME.predicate), lie beside it. --publisher names whoever is
    trusted to say it. What a predicate claims is not judged. The files of --target are not hashed.
    """
    from dataseal.cli import present
    from dataseal.cli.evidence_text import failure, success, verified
    from dataseal.cli.render import Report
    from dataseal.verifiers.evidence import release_of
    from dataseal.verifiers.sources.local import LocalFolder
    from dataseal.verifiers.verdict import Result

    if policy is not None and no_log:
        raise UsageError("--no-log goes without --policy", hint="give --publisher")
    made = make_policy(policy, publishers, logs, datasets, no_log=no_log)
    release = release_of(LocalFolder(target), made.trust, now=now()) if target is not None else None
    report, told, worst = Report(), [], Result.PASSED
    for path in files:
        try:
            found = _check(path, made.trust, release, datasets, types, use_log=not no_log)
        except (VerificationError, Unavailable) as error:
            blocked = isinstance(error, VerificationError)
            worst = Result.BLOCKED if blocked or worst is Result.BLOCKED else Result.INDETERMINATE
            report.line(failure(path, error))
            told.append({"file": str(path), "passed": False, "error": error.what})
        else:
            report.line(success(path, found))
            told.append({"file": str(path), "passed": True, **verified(found)})
    pinned = release is not None or datasets
    if not pinned:
        report.line("identity not pinned: give --target or --dataset")
    passed = sum(bool(item["passed"]) for item in told)
    report.result(worst, f"{passed} of {len(files)} verified")
    context.emit(str(report), lambda: {"command": "evidence verify", "result": str(worst), "files": told})
    return present.code_of(worst)


def _check(path: Path, trust: Any, release: Any, datasets: Any, types: Any, *, use_log: bool) -> VerifiedEvidence:
    from dataseal.cli.evidence import beside, read
    from dataseal.ledger import bundle, evidence, seal
    from dataseal.verifiers.evidence import check

    return check(
        read(path, bundle.MAX_BUNDLE),
        beside(path, ".tlog-proof", seal.MAX_SMALL),
        beside(path, ".predicate", evidence.MAX_PREDICATE),
        trust,
        now=now(),
        release=release,
        expected=datasets,
        types=types,
        use_log=use_log,
    )

"""``dataseal screen``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataseal.cli.context import Context, common, now
from dataseal.cli.trusting import make_policy, names_trust_file, trusting
from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.verifiers.screen.report import ScreenReport
    from dataseal.verifiers.sources.local import LocalFolder


@click.command("screen")
@click.argument("target", type=click.Path(path_type=Path))
@trusting
@click.option("--label", metavar="COLUMN", help="The label column; default: recognised.")
@click.option("--contributor", metavar="COLUMN", help="The contributor column; default: recognised.")
@click.option("--source", "source_column", metavar="COLUMN", help="The source column; default: recognised.")
@click.option("--text", metavar="COLUMN", help="The text column; default: recognised.")
@common
def command(
    context: Context,
    target: Path,
    policy: str | None,
    publishers: tuple[str, ...],
    logs: tuple[str, ...],
    datasets: tuple[str, ...],
    label: str | None,
    contributor: str | None,
    source_column: str | None,
    text: str | None,
) -> int:
    """Look for poison in TARGET's records, and name the change and the contributor that brought it in.

    With --publisher and --log (or --trust, or --policy) the dataset is verified first, and the signed history that
    travels with it calibrates the tests. Without them there is no history that could be believed, and what is found
    is advice.
    """
    from dataseal.verifiers.sources.local import LocalFolder

    source = LocalFolder(target)
    roles = _roles(label, contributor, source_column, text)
    if not (policy or publishers or logs or names_trust_file()):
        if datasets:
            raise UsageError(
                "--dataset needs somebody to trust", hint="give --publisher and --log, --trust or --policy"
            )
        return _unverified(context, source, roles)
    return _verified(context, source, make_policy(policy, publishers, logs, datasets), datasets, roles)


def _roles(label: str | None, contributor: str | None, source: str | None, text: str | None) -> Any:
    from dataseal.verifiers.screen.roles import Roles

    return Roles(label=label, contributor=contributor, source=source, text=(text,) if text else None)


def _unverified(context: Context, source: LocalFolder, roles: Any) -> int:
    from dataseal.verifiers.examine import unread
    from dataseal.verifiers.screen.engine import screen
    from dataseal.verifiers.sources.local import Records

    paths = [f.path for f in source.walk(()).files]
    if not paths:
        raise UsageError(f"no files to screen in {source.name}", hint="give the folder that holds the dataset's files")
    with context.progress("screening", unit="rows") as advance:
        report = screen(
            Records(source, paths), deliveries=(), history="none: nothing was verified", roles=roles,
            jobs=context.jobs, progress=advance,
        )  # fmt: skip
    return _finish(context, report, source.name, unread(paths))


def _verified(context: Context, source: LocalFolder, policy: Any, datasets: tuple[str, ...], roles: Any) -> int:
    from dataseal.cli.codes import BLOCKED
    from dataseal.cli.render import Report, finding_json
    from dataseal.verifiers import release
    from dataseal.verifiers.examine import run_screen
    from dataseal.verifiers.verdict import Result

    with context.progress("verifying") as advance:
        checked = release.check(source, policy.trust, now=now(), expected=datasets, jobs=context.jobs, progress=advance)
    wrong = [f for f in checked.findings if f.severity == "error"]
    if wrong or checked.manifest is None or checked.release is None:
        lines = Report()
        lines.findings(checked.findings, verbose=context.verbose)
        lines.result(Result.BLOCKED, f"{source.name}: it is not what was signed, and was not screened")
        document = _json(source.name, Result.BLOCKED, checked.notes, [finding_json(f) for f in wrong], None)
        context.emit(str(lines), lambda: document)
        return BLOCKED
    with context.progress("screening", unit="rows") as advance:
        report = run_screen(source, checked, roles=roles, jobs=context.jobs, rows=advance)
    return _finish(context, report, f"{checked.release.dataset}@{checked.release.version}", checked.notes)


def _json(target: str, result: str, notes: list[str], findings: list[Any], screen: Any) -> dict[str, Any]:
    return {
        "command": "screen",
        "target": target,
        "result": str(result),
        "notes": notes,
        "findings": findings,
        "screen": screen,
    }


def _finish(context: Context, report: ScreenReport, name: str, notes: list[str]) -> int:
    from dataseal.cli.codes import BLOCKED, INDETERMINATE, PASSED
    from dataseal.cli.present import screen_lines
    from dataseal.cli.render import Report, count
    from dataseal.verifiers.verdict import Result

    blocking = [f for f in report.findings if f.evidence in ("gate", "contrast")]
    failed = [d.detector for d in report.detectors if d.status == "failed"]
    calibrated = [d.detector for d in report.detectors if d.status == "ran" and d.calibrated]
    if blocking:
        result, text, code = Result.BLOCKED, f"{count(len(blocking), 'finding')} with calibrated evidence", BLOCKED
    elif failed or not calibrated or report.coverage < 1:
        why = f"failed: {', '.join(failed)}" if failed else "no detector was calibrated: what was found is advice"
        why = why if failed or not calibrated else f"only {report.coverage:.0%} of the record shards were read"
        result, text, code = Result.INDETERMINATE, why, INDETERMINATE
    else:
        result, text, code = Result.PASSED, "no calibrated evidence at this power (which is not: unpoisoned)", PASSED
    lines = Report()
    lines.pair("target", name)
    lines.pair("history", report.history)
    for note in notes:
        lines.pair("note", note)
    screen_lines(lines, report, verbose=context.verbose)
    lines.result(result, f"{name}: {text}")
    context.emit(str(lines), lambda: _json(name, result, notes, [], report.to_json()))
    return code

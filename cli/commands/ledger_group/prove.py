"""``dataseal ledger prove``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dataseal.cli.commands.ledger_group.sources import head_json, head_line, reading, tree_of
from dataseal.cli.context import Context, common
from dataseal.ledger.errors import UsageError

if TYPE_CHECKING:
    from dataseal.ledger.follow import Tree


@click.command("prove")
@click.argument("index", type=click.IntRange(min=0), required=False)
@click.option("--payload", metavar="SHA256", help="The entry whose statement has this digest, instead of INDEX.")
@click.option("--bundle", type=click.Path(path_type=Path), metavar="FILE", help="The entry that holds this bundle.")
@click.option("--to", type=click.Path(path_type=Path), metavar="FILE", help="The proof; default INDEX.tlog-proof here.")
@click.option("--bundle-to", type=click.Path(path_type=Path), metavar="FILE", help="Write the entry's bundle too.")
@reading
@common
def command(
    context: Context,
    index: int | None,
    payload: str | None,
    bundle: Path | None,
    to: Path | None,
    bundle_to: Path | None,
    source: str | None,
    log: str | None,
) -> None:
    """Write the .tlog-proof of entry INDEX: one file that proves offline, with its bundle, that the log holds it."""
    from dataseal.cli.render import Report
    from dataseal.ledger import entry as entries
    from dataseal.ledger.tlog.proof import SUFFIX
    from dataseal.verifiers.verdict import Result

    if sum(given is not None for given in (index, payload, bundle)) != 1:
        raise UsageError("say which entry: an INDEX, or --payload, or --bundle", hint="one of the three")
    tree = tree_of(context, source, log, hand_out=True)
    number = index if index is not None else _find(tree, payload, bundle)
    proof = tree.prove(number)
    leaf = tree.entry(number)
    path = to or Path(f"{number}{SUFFIX}")
    _write(path, proof.encode())
    if bundle_to:
        _write(bundle_to, entries.parse(leaf.body).bundle)
    report = Report()
    report.pair("log", tree.checkpoint.origin)
    report.pair("head", head_line(tree.checked))
    report.pair("leaf", leaf.leaf.hex())
    report.result(Result.PASSED, f"proof of entry {number} written to {path}")
    context.emit(
        str(report),
        lambda: {
            "command": "ledger prove",
            "result": "PASSED",
            "index": number,
            "leaf": leaf.leaf.hex(),
            "head": head_json(tree.checked),
            "proof": str(path),
            "bundle": str(bundle_to) if bundle_to else None,
        },
    )


def _find(tree: Tree, payload: str | None, bundle: Path | None) -> int:
    """The entry with a payload or bundle: the log's static form has no index, so that it is read through."""
    from dataseal.ledger import bundle as bundles
    from dataseal.ledger import entry as entries
    from dataseal.ledger.digest import parse_hex, sha256
    from dataseal.ledger.errors import FormatError

    raw = _read(bundle) if bundle is not None else None
    try:
        wanted = parse_hex(payload, field="--payload") if payload is not None else None
    except FormatError as error:
        raise UsageError(error.what, hint="give the SHA-256 of the statement's bytes") from None
    for leaf in tree.entries():
        held = entries.parse(leaf.body).bundle
        if held == raw or (wanted is not None and sha256(bundles.parse(held).payload) == wanted):
            return leaf.index
    what = f"the bundle in {bundle}" if bundle is not None else f"a statement with digest {payload}"
    raise UsageError(
        f"the log does not hold {what}", where=tree.resources.name, hint="`dataseal log` lists its entries"
    )


def _read(path: Path) -> bytes:
    from dataseal.ledger.bundle import MAX_BUNDLE

    with path.open("rb") as stream:
        return stream.read(MAX_BUNDLE + 1)


def _write(path: Path, data: bytes) -> None:
    from dataseal.ledger.durable import write_whole

    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{path} is a folder, or lies in one that is not there", hint="name a file")
    write_whole(path, data)

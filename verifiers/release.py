"""Verifying a dataset: the seal, the statement, the log, the table, and every byte of every shard.

Continues the numbered steps of `dataseal.ledger.verify`:
10. ``.dataseal/`` is there, and holds only files of its closed set.
11. At least one bundle over the release statement is by a trusted signer whose signature counts (`ledger.endorse`);
    every other is over the same bytes, also those of signers who are not trusted here, or not any more.
12. Its proof verifies under a trusted log.
13. The dataset is the expected one, and so is the version when one is named.
14. The shard table has the signed digest, and leads to the signed root.
15. The files beside the seal are exactly the table's, byte for byte.
16. The history beside it verifies, and each of the seal's objects is bound by it.
17. The OMS signature beside it, if there is one, is by a signer of the release and says what the shard table says.

What fails becomes a finding, and the steps that do not need it go on: a user sees everything at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from dataseal.ledger import bundle as bundles
from dataseal.ledger import seal
from dataseal.ledger import statement as statements
from dataseal.ledger.endorse import Endorsement, NotCounted, endorse
from dataseal.ledger.errors import DatasealError, FormatError, IntegrityError, SignatureInvalid, Unavailable
from dataseal.ledger.hashing import Progress
from dataseal.ledger.hashing.remember import Memory
from dataseal.ledger.manifest import parse_table
from dataseal.ledger.statement import Statement
from dataseal.ledger.trust import Trust
from dataseal.ledger.verify import LoggedStatement, VerifiedStatement, verify_logged
from dataseal.verifiers import oms_seal
from dataseal.verifiers.announced import announced
from dataseal.verifiers.checked import Checked, Sealed
from dataseal.verifiers.facts import LogFacts, ReleaseFacts, SignatureFacts
from dataseal.verifiers.files import Digests, Looking, check_files
from dataseal.verifiers.lineage import History, read_history
from dataseal.verifiers.partial import Part
from dataseal.verifiers.sources.local import LocalFolder

_UNKNOWN = "check that the publisher's key is the right one; if it is, do not use this data"


def check(
    source: LocalFolder,
    trust: Trust,
    *,
    now: datetime,
    expected: Sequence[str] = (),
    use_log: bool = True,
    digests: Digests = "tree",
    part: Part | None = None,
    fast: Memory | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Verifies a folder.

    Args:
        trust: signers and logs. now: the clock, for signatures that no trusted time is known of.
        expected: ``NAME`` or ``NAME@VERSION``, any of them; none leaves the identity open.
        use_log: False leaves step 12 out, and says so.
        digests: ``all`` also compares whole-file SHA-256 digests. part: what to look at; None is everything.
        fast: the memory that ``--fast`` asks; None reads every file.

    Raises:
        UsageError: nothing signed is in ``part``. Unavailable: a file can't be read.
    """
    result, names = _release(source, trust, now, expected, use_log)
    _bytes(source, result, Looking(digests, part, fast, jobs, progress))
    if names:
        _history(source, names, trust, now, result)
    return result


def establish(
    source: Sealed, trust: Trust, *, now: datetime, expected: Sequence[str] = (), use_log: bool = True
) -> Checked:
    """All steps but 15: what `dataseal.verifiers.reader` needs, which verifies each byte when it hands it out.

    Args:
        trust, now, expected, use_log: as in `check`.

    Raises:
        Unavailable: a file of the seal can't be read.
    """
    result, names = _release(source, trust, now, expected, use_log)
    if names:
        _history(source, names, trust, now, result)
    return result


def _release(
    source: Sealed, trust: Trust, now: datetime, expected: Sequence[str], use_log: bool
) -> tuple[Checked, list[str]]:
    """Steps 10 to 14, and the names in the seal."""
    result = Checked()
    names = _seal(source, result)
    result.notes += announced(source.read_seal, names, trust, now=now)
    endorsed = _bundles(source, names, trust, now, result) if names else {}
    result.endorsed = {seal.release_name(n, "sigstore.json"): item for n, item in endorsed.items()}
    result.bundles = {name: item.verified for name, item in result.endorsed.items()}
    verified = {n: item.verified for n, item in endorsed.items()}
    if verified:
        statement = next(iter(verified.values())).statement
        if use_log:
            _log(source, verified, trust, result)
        else:
            result.notes.append("log: not checked")
        _identity(statement, expected, result)
        _table(source, statement, list(endorsed.values()), result)
    if seal.OMS in names and result.manifest is not None:
        strangers = any(finding.check == "signature.unknown" for finding in result.findings)
        result.findings += oms_seal.check(
            source.read_seal, list(endorsed.values()), result.manifest, strangers=strangers, now=now
        )
    return result, names


def _seal(source: Sealed, result: Checked) -> list[str]:
    """Step 10."""
    names = source.seal()
    if not names:
        result.fail(
            "signature.missing",
            "there is no .dataseal/ folder: the dataset is not signed, or its seal was stripped",
            where=".dataseal",
            hint="fetch the dataset with its .dataseal/ folder, or ask the publisher to sign it",
        )
        return []
    for name in names:
        if not seal.known(name):
            result.fail(
                "integrity.seal",
                f".dataseal/{name} does not belong there",
                where=f".dataseal/{name}",
                hint="remove it: the seal is a closed set of files, and this one was smuggled in",
            )
    return [name for name in names if seal.known(name)]


def _bundles(source: Sealed, names: list[str], trust: Trust, now: datetime, result: Checked) -> dict[int, Endorsement]:
    """Step 11. The signatures that count, all over the same bytes, by signer number."""
    verified: dict[int, Endorsement] = {}
    unknown: list[tuple[str, bytes, SignatureInvalid]] = []
    numbers = seal.releases(dict.fromkeys(names))
    for number in numbers:
        name = seal.release_name(number, "sigstore.json")
        try:
            raw = source.read_seal(name, seal.MAX_SMALL)
            if raw is None:
                result.fail(
                    "signature.missing",
                    f".dataseal/{name} is missing: the signature was stripped",
                    where=f".dataseal/{name}",
                    hint="fetch the dataset again with its whole .dataseal/ folder",
                )
                continue
            item = endorse(raw, trust, proof=_proof(source, number), now=now)
            statement = item.verified.statement
            if statement.kind != "release":
                raise FormatError(f"it is {statements.a(statement.kind)}, not a release")
            if any(statement.payload != other.verified.statement.payload for other in verified.values()):
                raise IntegrityError("it signs another statement than the bundle before it")
            verified[number] = item
            result.notes += [f"{why}: its signature counts without it" for why in item.passed_over]
        except SignatureInvalid as error:
            unknown.append((name, bundles.parse(raw or b"").payload, error))
        except Unavailable:
            raise
        except DatasealError as error:
            result.fail(
                "signature.invalid",
                f".dataseal/{name}: {error.what}",
                where=f".dataseal/{name}",
                hint="fetch the dataset again with its whole .dataseal/ folder; if it comes like this, do not use it",
            )
    signed = next((v.verified.statement.payload for v in verified.values()), None)
    for name, payload, why in unknown:
        # Beside a trusted signature, one by somebody unknown over the same statement is only worth a note.
        bound = signed is not None and payload == signed
        result.fail(
            "signature.unknown" if bound else "signature.untrusted",
            f".dataseal/{name}: {why.what}" + ("" if bound or signed is None else "; and it is over another statement"),
            where=f".dataseal/{name}",
            hint=why.hint if isinstance(why, NotCounted) else _UNKNOWN,
            note=bound,
        )
    if not numbers:
        result.fail(
            "signature.missing",
            "there is no release bundle in .dataseal/: the signature was stripped",
            where=".dataseal/release",
            hint="fetch the dataset again with its whole .dataseal/ folder",
        )
    return verified


def _proof(source: Sealed, number: int) -> bytes | None:
    try:
        return source.read_seal(seal.release_name(number, "tlog-proof"), seal.MAX_SMALL)
    except FormatError:  # too large: step 12 says so
        return None


def _log(source: Sealed, verified: dict[int, VerifiedStatement], trust: Trust, result: Checked) -> None:
    """Step 12: every trusted signer's bundle needs its own proof; the first one gives the facts."""
    for number, item in verified.items():
        name = seal.release_name(number, "tlog-proof")
        try:
            proof = source.read_seal(name, seal.MAX_SMALL)
            if proof is None:
                result.fail(
                    "log.missing",
                    f".dataseal/{name} is missing: nothing proves that the release stands in the log",
                    where=f".dataseal/{name}",
                    hint="fetch the dataset again with its whole .dataseal/ folder",
                )
                continue
            logged = verify_logged(item, proof, tuple(trust.logs.values()))
        except Unavailable:
            raise
        except DatasealError as error:
            result.fail(
                "log.invalid",
                f".dataseal/{name}: {error.what}",
                where=f".dataseal/{name}",
                hint=error.hint or "fetch .dataseal/ again from the publisher: this is no proof of this release",
            )
            continue
        if result.logged is None:
            result.logged = logged
            result.log = _log_facts(logged)


def _log_facts(logged: LoggedStatement) -> LogFacts:
    checked = logged.checked
    return LogFacts(
        log=logged.log.name,
        origin=checked.log,
        index=logged.index,
        tree_size=checked.checkpoint.size,
        operator=logged.log.operator,
        witnesses=checked.witnesses_seen,
        witnesses_known=checked.witnesses_known,
        quorum_met=checked.quorum_met,
        witnessed=logged.log.policy.quorum != "none",
    )


def _identity(statement: Statement, expected: Sequence[str], result: Checked) -> None:
    """Step 13."""
    dataset, version = statement.dataset, statement.version
    if not expected:
        result.notes.append(f"identity not pinned: {dataset}@{version}")
        return
    if any(name in (dataset, f"{dataset}@{version}") for name in expected):
        return
    wanted = " or ".join(expected)
    if any(name.rpartition("@")[0] == dataset for name in expected):
        result.fail(
            "identity.version",
            f"this is {dataset}@{version}; {wanted} was asked for",
            hint="fetch the version that you asked for, or ask for this one",
        )
    else:
        result.fail(
            "identity.dataset",
            f"this is another dataset, {dataset}@{version}; {wanted} was asked for",
            hint="it may be validly signed, and it is not what you wanted: fetch the right dataset",
        )


def _table(source: Sealed, statement: Statement, endorsed: list[Endorsement], result: Checked) -> None:
    """Step 14."""
    release = statement.release()
    try:
        data = source.read_seal(seal.TABLE, seal.MAX_TABLE)
        if data is None:
            raise IntegrityError("the shard table is missing", where=".dataseal/shards.parquet")
        result.manifest = parse_table(
            data,
            release.tree.parameters,
            digest=bytes.fromhex(statement.table),
            root=bytes.fromhex(statement.root),
        )
        if (len(result.manifest.shards), result.manifest.bytes) != (release.tree.shards, release.tree.bytes):
            raise FormatError("the statement counts other shards or bytes than the table")
    except Unavailable:
        raise
    except DatasealError as error:
        result.manifest = None
        hint = error.hint or "fetch .dataseal/ again from the publisher: this is not the table that was signed"
        result.fail("integrity.table", error.what, where=".dataseal/shards.parquet", hint=hint)
        return
    if not result.manifest.shards:
        result.fail(
            "integrity.empty",
            "the release has no shards: nothing was signed that could be used",
            hint="ask the publisher for a release with data",
        )
    result.release = ReleaseFacts(
        dataset=statement.dataset,
        version=statement.version,
        sequence=release.sequence,
        root=statement.root,
        table=statement.table,
        shards=release.tree.shards,
        bytes=release.tree.bytes,
        chunk_size=release.tree.chunk_size,
        chunk_hash=release.tree.chunk_hash,
        exclusions=tuple(release.exclusions),
        metadata=dict(release.metadata),
        supplied=release.digests == "supplied",
        signatures=tuple(map(_signature, endorsed)),
    )


def _signature(item: Endorsement) -> SignatureFacts:
    signer = item.verified.signer
    times = tuple((_time(t.at), t.source, t.by) for t in item.times)
    first = item.listed[0]
    valid = tuple(None if t is None else _time(t) for t in (first.valid_from, first.valid_until))
    return SignatureFacts(
        item.names, signer.fingerprint, signer.key, signer.scheme, signer.label, times, (valid[0], valid[1])
    )


def _time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bytes(source: LocalFolder, result: Checked, how: Looking) -> None:
    """Step 15."""
    if result.manifest is None or result.release is None:
        return
    found = check_files(source, result.manifest, result.release.exclusions, how)
    result.complete, result.part, result.fast = found.complete, found.part, found.fast
    result.findings += found.findings
    result.notes += found.notes


def _why_no_history(result: Checked) -> str:
    if result.manifest is not None and not any(f.check.startswith("log.") for f in result.findings):
        return "the log was not checked"
    return "the release itself is not"


def _history(source: Sealed, names: list[str], trust: Trust, now: datetime, result: Checked) -> None:
    """Step 16."""
    objects = {name for name in names if name.startswith("objects/")}
    if result.logged is None or result.manifest is None:
        result.history = History((), f"not verified: {_why_no_history(result)}", ())
        return
    result.history = read_history(
        source.read_seal, names, trust=trust, release=result.logged, manifest=result.manifest, now=now
    )
    result.findings += result.history.findings
    for name in sorted(objects - result.history.objects):
        result.fail(
            "integrity.seal",
            f".dataseal/{name} is bound by no verified statement",
            where=f".dataseal/{name}",
            hint="remove it, or fetch .dataseal/ again from the publisher",
        )

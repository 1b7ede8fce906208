"""The error tree, cut by what the caller can do about it.

::

    DatasealError
     ├── UsageError         the call, the configuration, a key file or a policy is not usable: mend it      exit 2
     ├── VerificationError  evidence is at hand and does not hold: do not use the data                      exit 1
     │    ├── FormatError   bytes that claim to be one of our formats are not
     │    ├── SignatureInvalid  no trusted key made this signature over these bytes
     │    ├── IntegrityError    files, tables or roots differ from what was signed
     │    ├── ProofInvalid      a Merkle proof, checkpoint or cosignature does not verify
     │    ├── Rollback          a log head or a release older than one already believed
     │    └── Refused           the log's admission rules refuse the entry
     └── Unavailable        no verdict was reached: locked, full, unreachable, timed out: try again         exit 3

Each error says *what* failed, *where*, and *what to do next*; the command line prints the three on
lines of their own. Exit codes are DESIGN section 7; the one map from classes to codes is in ``cli.main``.
"""

from __future__ import annotations


class DatasealError(Exception):
    """Base of every error that dataseal raises on purpose.

    Args:
        what: one sentence, observed against expected.
        where: the file, byte range, entry or field, when there is one.
        hint: what to do next.
        detail: lines that show the place, such as a source line with a caret below it.
    """

    def __init__(
        self, what: str, *, where: str | None = None, hint: str | None = None, detail: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        shown = f"{self.what} ({self.where})" if self.where else self.what
        return f"{shown}\n{self.detail}" if self.detail else shown


class UsageError(DatasealError):
    """The call, configuration, key file or policy can't be used as given."""


class VerificationError(DatasealError):
    """Evidence is at hand and does not hold."""


class FormatError(VerificationError):
    """Bytes do not parse, strictly and completely, as the format that they claim to be."""


class SignatureInvalid(VerificationError):
    """No trusted key made this signature over these bytes."""


class IntegrityError(VerificationError):
    """Files, tables or roots differ from what was signed."""


class ProofInvalid(VerificationError):
    """A Merkle proof, a checkpoint or a cosignature does not verify."""


class Rollback(VerificationError):
    """A log head or a release is older than one that this client already believed."""


class Refused(VerificationError):
    """The log's admission rules refuse the entry."""


class Unavailable(DatasealError):
    """No verdict was reached: something is locked, full, unreachable or timed out."""

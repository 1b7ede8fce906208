"""What ``dataseal.toml`` may say; `dataseal.ledger.workspace` has an example and opens it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from dataseal.ledger.listing import CertifiedConfig, SigstoreConfig
from dataseal.ledger.predicates import Model
from dataseal.ledger.witness.configured import WitnessesConfig

_ONE_OR_MORE = Field(min_length=1)


class LedgerConfig(Model):
    """Where the ledger is, its origin line, and the key that signs its checkpoints.

    ``path`` is a file, ``url`` a PostgreSQL database (``postgresql+psycopg://user@host/database``): one of the two.

    ``vkey`` or ``log`` (a file) say which key a ledger server has; see `dataseal.ledger.remote.open`. ``witnesses`` are
    those of the workspace's own log.

    ``path`` may also be a place where the log is published (`dataseal.ledger.published`); ``single_writer`` says that
    never two publishers write there at once.
    """

    path: str = ""
    url: str = ""
    origin: str
    log_key: str
    vkey: str | None = None
    log: str | None = None
    witnesses: WitnessesConfig | None = None
    single_writer: bool = False

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.path) == bool(self.url):
            raise ValueError("give either path (a file) or url (a PostgreSQL database)")
        return self


class AdmissionConfig(Model):
    """Who may log what, and from which index of the log on (``from``) up to which other (``until``, not included)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    datasets: Annotated[list[str], _ONE_OR_MORE]
    kinds: Annotated[list[str], _ONE_OR_MORE]
    keys: Annotated[list[str], Field(min_length=1, default_factory=list)]
    x509: list[CertifiedConfig] = Field(default_factory=list)
    sigstore: list[SigstoreConfig] = Field(default_factory=list)
    start: Annotated[int, Field(ge=0, alias="from")] = 0
    stop: Annotated[int | None, Field(ge=0, alias="until")] = None


class Config(Model):
    """``dataseal.toml``."""

    dataseal: Annotated[int, Field(ge=1, le=1)]
    ledger: LedgerConfig
    keys: dict[str, str]
    admission: Annotated[list[AdmissionConfig], _ONE_OR_MORE]
    timestamp_authorities: dict[str, str] = Field(default_factory=dict)

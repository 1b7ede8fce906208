"""SLSA's published predicates, as shapes: Provenance v1 and the Verification Summary (VSA) v1.

Sources: https://slsa.dev/spec/v1.0/provenance ("Schema", "Parsing rules") and
https://slsa.dev/spec/v1.0/verification_summary ("Schema"); both are in-toto predicates, whose ``TypeURI``,
``Timestamp`` and ``ResourceDescriptor`` are in-toto's v1 field types. What a specification calls required is
wanted here, with its type; fields that it does not name are kept and ignored, as its parsing rules say.

A provenance's smallest form (a test reads it)::

    {"buildDefinition": {"buildType": "https://example.org/etl/v1", "externalParameters": {"source": "crawl-2026-01"}},
     "runDetails": {"builder": {"id": "https://example.org/builder"}}}

A shape says nothing of truth: who signed a predicate, and whether that signer is to be believed, is judged elsewhere.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from dataseal.ledger.errors import FormatError
from dataseal.ledger.statement import VSA

PROVENANCE: Final = "https://slsa.dev/provenance/v1"

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+\Z")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?Z\Z")
_HEX = re.compile(r"[0-9a-f]+\Z")


def _uri(text: str) -> str:
    if not _URI.match(text):
        raise ValueError("not a URI with a scheme (RFC 3986)")
    return text


def _time(text: str) -> str:
    if not _TIME.match(text):
        raise ValueError("not a time in UTC, such as 2026-01-02T03:04:05Z (RFC 3339)")
    datetime.fromisoformat(f"{text[:19]}Z")
    return text


def _digests(value: dict[str, str]) -> dict[str, str]:
    if not value or not all(_HEX.match(digest) for digest in value.values()):
        raise ValueError("a digest set is not empty, and its values are lower-case hexadecimal")
    return value


TypeURI = Annotated[str, AfterValidator(_uri)]
Timestamp = Annotated[str, AfterValidator(_time)]
Digests = Annotated[dict[str, str], AfterValidator(_digests)]
Text = Annotated[str, Field(min_length=1)]


class _Open(BaseModel):
    """A JSON object that may say more than is known here (SLSA, "Parsing rules")."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, alias_generator=to_camel)


class ResourceDescriptor(_Open):
    """in-toto v1 ``ResourceDescriptor``: at least one of uri, digest and content is there."""

    name: str | None = None
    uri: TypeURI | None = None
    digest: Digests | None = None
    content: str | None = None
    download_location: str | None = None
    media_type: str | None = None
    annotations: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.uri is None and self.digest is None and self.content is None:
            raise ValueError("a resource has at least one of uri, digest and content")
        return self


class BuildDefinition(_Open):
    """All inputs of a build."""

    build_type: TypeURI
    external_parameters: dict[str, Any]
    internal_parameters: dict[str, Any] | None = None
    resolved_dependencies: list[ResourceDescriptor] | None = None


class Builder(_Open):
    """Who built."""

    id: TypeURI
    builder_dependencies: list[ResourceDescriptor] | None = None
    version: dict[str, str] | None = None


class BuildMetadata(_Open):
    """Of one execution."""

    invocation_id: str | None = None
    started_on: Timestamp | None = None
    finished_on: Timestamp | None = None


class RunDetails(_Open):
    """One execution of a build."""

    builder: Builder
    metadata: BuildMetadata | None = None
    byproducts: list[ResourceDescriptor] | None = None


class Provenance(_Open):
    """The predicate of ``https://slsa.dev/provenance/v1``."""

    build_definition: BuildDefinition
    run_details: RunDetails


class Verifier(_Open):
    """Who verified."""

    id: TypeURI
    version: dict[str, str] | None = None


class Input(_Open):
    """An attestation that was used."""

    uri: Text
    digest: Digests


class Summary(_Open):
    """The predicate of ``https://slsa.dev/verification_summary/v1``."""

    verifier: Verifier
    time_verified: Timestamp | None = None
    resource_uri: TypeURI
    policy: ResourceDescriptor
    input_attestations: list[Input] | None = None
    verification_result: Literal["PASSED", "FAILED"]
    verified_levels: list[Text]
    dependency_levels: dict[str, Annotated[int, Field(ge=0)]] | None = None
    slsa_version: str | None = None


SHAPES: Final[dict[str, type[_Open]]] = {PROVENANCE: Provenance, VSA: Summary}


def check_shape(predicate_type: str, predicate: dict[str, Any]) -> bool:
    """Holds a predicate against the published shape of its type; False when no shape of the type is known here.

    Raises:
        FormatError: naming the field that does not fit.
    """
    shape = SHAPES.get(predicate_type)
    if shape is None:
        return False
    try:
        shape.model_validate(predicate)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "predicate"
        raise FormatError(f"{predicate_type}: {field[:200]}: {first['msg']}") from None
    return True

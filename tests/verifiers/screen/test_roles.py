"""Roles: inferred from names and types, overridable, mistyped columns refused."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dataseal.ledger.errors import UsageError
from dataseal.verifiers.screen.roles import Roles, resolve

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("Text", pa.large_string()),
        ("label", pa.dictionary(pa.int32(), pa.string())),
        ("rating", pa.float64()),
        ("stars", pa.int8()),
        ("user_id", pa.int64()),
        ("source", pa.string()),
        ("created_at", pa.timestamp("us")),
        ("image", pa.binary()),
        ("parent_id", pa.int64()),
    ]
)


def test_inferred() -> None:
    assert resolve(SCHEMA, None, None).as_mapping() == {
        "contributor": "user_id",
        "id": "id",
        "label": "label",
        "numeric": "rating, stars",
        "source": "source",
        "text": "Text",
        "timestamp": "created_at",
    }


def test_overridden() -> None:
    roles = resolve(SCHEMA, Roles(contributor="source", text=(), label="stars", id=""), None)
    assert (roles.contributor, roles.source, roles.text, roles.label, roles.id) == ("source", "", (), "stars", "")
    assert roles.numeric == ("rating",)


def test_mistyped_column() -> None:
    with pytest.raises(UsageError, match="no column 'lable'") as caught:
        resolve(SCHEMA, Roles(label="lable"), None)
    assert caught.value.hint == "did you mean 'label'?"


def test_several_text_columns() -> None:
    schema = pa.schema([("prompt", pa.string()), ("response", pa.string()), ("n", pa.int64())])
    assert resolve(schema, None, None).text == ("prompt", "response")


def test_text_without_a_telling_name() -> None:
    schema = pa.schema([("code", pa.string()), ("words", pa.string())])
    sample = pa.RecordBatch.from_pydict({"code": ["a1", "b2"], "words": ["a long enough piece of text", None]})
    assert resolve(schema, None, sample).text == ("words",)
    assert resolve(schema, None, sample.slice(0, 0)).text == ()
    assert resolve(schema, None, None).text == ()

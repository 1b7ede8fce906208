"""Canonical bytes of a state: one line of JSON (what arrays follow, and small values), then the arrays' raw bytes.

Example: ``{"arrays":[["key","<u8",3]],"values":{"rows":7}}`` + newline + 24 bytes. All arrays are one-dimensional and
little-endian.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataseal.ledger.errors import FormatError

_KINDS = {"<u8", "<i8", "<f8", "<u4", "<i4", "|u1"}


def pack(values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Values (JSON) and arrays as bytes; the same content gives the same bytes."""
    little = {k: np.ascontiguousarray(a, dtype=a.dtype.newbyteorder("<")) for k, a in sorted(arrays.items())}
    head = {"arrays": [[k, a.dtype.str, int(a.size)] for k, a in little.items()], "values": values}
    line = json.dumps(head, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return b"\n".join([line.encode("ascii"), b"".join(a.tobytes() for a in little.values())])


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read `pack` back, completely.

    Raises:
        FormatError: the header does not parse, or the arrays do not fill the rest exactly.
    """
    line, newline, rest = data.partition(b"\n")
    try:
        if not newline:
            raise ValueError("no header line")
        head = json.loads(line)
        arrays: dict[str, NDArray[Any]] = {}
        at = 0
        for name, kind, size in head["arrays"]:
            if kind not in _KINDS or not isinstance(size, int) or size < 0:
                raise ValueError(f"array {name!r} has type {kind!r} and size {size!r}")
            end = at + size * np.dtype(kind).itemsize
            arrays[name] = np.frombuffer(rest[at:end], dtype=kind)
            if arrays[name].size != size:
                raise ValueError(f"array {name!r} is cut short")
            at = end
        if at != len(rest):
            raise ValueError(f"{len(rest) - at} bytes follow the last array")
        values = dict(head["values"])
    except (ValueError, KeyError, TypeError) as problem:
        raise FormatError(
            f"these bytes are not a detector's state: {problem}",
            hint="take the state from the same version of dataseal",
        ) from problem
    return values, arrays

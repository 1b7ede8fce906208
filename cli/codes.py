"""Exit codes: a contract that scripts rely on (DESIGN section 7)."""

from __future__ import annotations

from typing import Final

PASSED: Final = 0
BLOCKED: Final = 1
INVALID: Final = 2
INDETERMINATE: Final = 3
WRAPPED: Final = 120
"""Added to a code that is ours and not the wrapped command's."""

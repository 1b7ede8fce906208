"""Where a user's own state is kept: what was believed of logs, and which releases were verified."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """``$XDG_STATE_HOME/dataseal``, else ``~/.local/state/dataseal``."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "dataseal"

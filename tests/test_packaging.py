"""The package list equals the tree, and a built wheel holds exactly it and works in a clean environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PORTIONS = ("cli", "ledger", "policies", "verifiers")


def config() -> dict[str, object]:
    loaded: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return loaded


def sources() -> set[str]:
    """Every file of the portions that a wheel must hold, as a path inside the wheel."""
    found = set()
    for portion in PORTIONS:
        for path in (ROOT / portion).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(f"dataseal/{path.relative_to(ROOT).as_posix()}")
    return found


def test_the_package_list_is_the_tree() -> None:
    listed = set(config()["tool"]["setuptools"]["packages"])  # type: ignore[index]
    folders = {
        "dataseal." + ".".join(p.parent.relative_to(ROOT).parts)
        for portion in PORTIONS
        for p in (ROOT / portion).rglob("__init__.py")
    }
    assert listed == folders


def test_every_folder_with_modules_is_a_package() -> None:
    for portion in PORTIONS:
        for module in (ROOT / portion).rglob("*.py"):
            assert (module.parent / "__init__.py").is_file(), f"{module.parent} has no __init__.py"


def test_there_is_no_namespace_init_and_every_portion_is_typed() -> None:
    assert not (ROOT / "dataseal").exists()
    for portion in PORTIONS:
        assert (ROOT / portion / "py.typed").is_file()


def test_no_index_address_and_no_unhashed_line_in_the_pins() -> None:
    for name in ("run.txt", "dev.txt"):
        text = (ROOT / "requirements" / name).read_text()
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text
        pins = [block for block in text.split("\n") if "==" in block and not block.startswith((" ", "#"))]
        assert len(pins) > 40
        blocks = text.replace("\\\n", "").split("\n")
        assert all("--hash=sha256:" in b for b in blocks if "==" in b and not b.lstrip().startswith("#"))


def test_every_declared_dependency_is_pinned() -> None:
    pinned = {
        line.split("==")[0]
        for line in (ROOT / "requirements/run.txt").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    }
    declared = config()["project"]["dependencies"]  # type: ignore[index]
    names = {d.split(">=")[0].replace(".", "-") for d in declared}
    assert names <= pinned


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the checkout, built from a copy, so that no `build/` is left or picked up."""
    work = tmp_path_factory.mktemp("wheel")
    copy = work / "source"
    ignore = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "demo", "tests", "benchmarks")
    shutil.copytree(ROOT, copy, ignore=ignore)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(work), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = work.glob("*.whl")
    return built


def test_the_wheel_holds_exactly_the_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {n for n in archive.namelist() if ".dist-info/" not in n}
    assert names == sources()


def test_the_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """In a virtual environment of its own: this one's dependencies are on its path, and dataseal is not."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    dependencies = next(p for p in sys.path if p.endswith("site-packages"))
    site = next((home / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(f"{dependencies}\n")  # a path: .pth files in it are not followed
    environment = {"HOME": str(tmp_path), "PATH": os.defpath}

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(home / "bin" / "dataseal", "--version") == f"dataseal {config()['project']['version']}\n"  # type: ignore[index]
    run(home / "bin" / "dataseal", "init", "workspace")
    assert (tmp_path / "workspace" / "dataseal.toml").is_file()
    where = run(python, "-c", "import dataseal.cli.main as m; print(m.__file__)").strip()
    assert Path(where).is_relative_to(home)
    assert "pretraining" in run(python, "-c", "from dataseal.verifiers.policy import builtin_names as n; print(n())")

"""What `docs/reading.md` shows runs as it stands: under a spawned worker, and under torch where it is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.cli import PROGRAM
from support.reading import NAME, ROWS, Shelf

DOCS = Path(__file__).parents[3] / "docs" / "reading.md"


def snippet(word: str) -> str:
    """The one Python block of the page that holds ``word``."""
    (found,) = [b for b in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if word in b]
    return str(found)


def test_the_torch_dataset_is_as_short_as_it_says() -> None:
    lines = [x for x in snippet("class Rows").splitlines() if x.strip() and not x.startswith(("import", "from"))]
    assert len(lines) <= 10


STAND_IN = """
import sys, types
torch, utils, data = types.ModuleType("torch"), types.ModuleType("torch.utils"), types.ModuleType("torch.utils.data")
class IterableDataset:
    pass
class DataLoader:
    pass
WORKER = None
data.IterableDataset, data.DataLoader, data.get_worker_info = IterableDataset, DataLoader, lambda: WORKER
sys.modules |= {"torch": torch, "torch.utils": utils, "torch.utils.data": data}
"""

SPAWN = """
import multiprocessing
def work(job):
    global WORKER
    rows, WORKER = job
    return [row["id"] for row in rows]
if __name__ == "__main__":
    from dataseal.verifiers import open_dataset
    with open_dataset(sys.argv[1], publisher=sys.argv[2], log=sys.argv[3], dataset=sys.argv[4]) as data:
        workers = [types.SimpleNamespace(id=n, num_workers=2) for n in range(2)]
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            parts = pool.map(work, [(Rows(data), worker) for worker in workers])
    print(len(parts[0]), len(parts[1]), sorted(parts[0] + parts[1]) == list(range(len(parts[0]) + len(parts[1]))))
"""


def test_the_torch_dataset_works_in_spawned_workers_with_a_stand_in_for_torch(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(STAND_IN + snippet("class Rows") + SPAWN)
    done = subprocess.run(
        [sys.executable, tmp_path / "train.py", shelf.data, *shelf.trust.values()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(ROWS), str(ROWS), "True"]


TORCH = """
if __name__ == "__main__":
    import sys
    from dataseal.verifiers import open_dataset
    with open_dataset(sys.argv[1], publisher=sys.argv[2], log=sys.argv[3], dataset=sys.argv[4]) as data:
        {loader}
        print(sum(len(batch["id"]) for batch in loader))
"""


def test_the_torch_dataset_works_with_torch(shelf: Shelf, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    text = snippet("class Rows") + TORCH.format(loader=snippet("DataLoader(Rows").strip())
    (tmp_path / "train.py").write_text(text)
    done = subprocess.run(
        [sys.executable, tmp_path / "train.py", shelf.data, *shelf.trust.values()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(2 * ROWS)


def test_the_example_of_the_readme_page_opens_and_reads(shelf: Shelf, tmp_path: Path) -> None:
    text = snippet('dataset="acme/reviews") as data')
    for shown, real in (("/srv/reviews", shelf.data), ("acme.pub", shelf.trust["publisher"]),
                        ("acme-log.vkey", shelf.trust["log"]), ("acme/reviews", NAME),
                        ('["text", "label"]', '["text", "score"]'), ("README.md", "empty.bin")):  # fmt: skip
        assert shown in text
        text = text.replace(shown, str(real))
    code = text + "\nassert table.num_rows"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_verify_prints_what_a_pin_needs(shelf: Shelf) -> None:
    import json

    trust = ["--publisher", shelf.trust["publisher"], "--log", shelf.trust["log"], "--dataset", NAME]
    done = subprocess.run([PROGRAM, "verify", shelf.data, *trust, "--format", "json"], capture_output=True, check=True)
    shown = json.dumps(json.loads(done.stdout))
    pin = shelf.open().storage_options["dataseal"]
    assert pin["root"] in shown
    assert pin["table"] in shown

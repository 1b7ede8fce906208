"""The main job on real data, as a story: sign, verify, tamper, modify, poison, screen, gate, check.

    make demo          (or: python examples/sentiment/demo.py [FOLDER])

Every step runs the ``dataseal`` command as a user would, in a folder of its own (default: ``demo/`` in the checkout,
made anew), and stops with an error when a command ends otherwise than the story says.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
sys.path.insert(0, str(HERE))

import build  # noqa: E402  the script beside this one

DATASEAL = Path(sys.executable).with_name("dataseal")
NAME = "acme/sentiment"
TRUST = ("--publisher", "publisher/keys/publisher.pub", "--log", "publisher/keys/log.vkey")
TEAM = ("--workspace", "publisher")

POLICY = """\
# The platform team's policy: what shipped with dataseal, plus whom we trust and for which dataset.
dataseal_policy: 1
name: sentiment-training
extends: [{policy: "dataseal:pretraining"}]
trust:
  signers: {acme: {key: "../publisher/keys/publisher.pub"}}
  groups: {publishers: [acme]}
  logs: {acme: "../publisher/keys/log.vkey"}
rules:
  - {id: our-data, rule: publisher, datasets: ["acme/sentiment"], all_of: [{signers: acme}]}
"""


class Story:
    """Runs commands in a folder and shows them as a reader would see them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started = time.monotonic()

    def step(self, number: int, title: str, text: str) -> None:
        """A new step."""
        print(f"\n\033[1m{number}. {title}\033[0m" if sys.stdout.isatty() else f"\n{number}. {title}")
        print(textwrap.fill(" ".join(text.split()), 100), flush=True)

    def note(self, text: str) -> None:
        """What the story itself does, between commands."""
        print(f"\n   # {text}", flush=True)

    def run(self, *args: str, expect: int = 0, only: tuple[str, ...] = ()) -> str:
        """Runs ``dataseal`` and shows its output; ``only`` shows lines that hold one of these words, and the last."""
        shown = ["dataseal", *(f'"{a}"' if " " in a else a for a in args)]
        print("\n   $ " + " ".join(shown), flush=True)
        environment = {**os.environ, "XDG_STATE_HOME": str(self.folder / "consumer-state"), "PYTHONUNBUFFERED": "1"}
        done = subprocess.run(
            [DATASEAL, *args],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        lines = done.stdout.rstrip().splitlines()
        kept = [x for x in lines[:-1] if any(word in x for word in only)] + lines[-1:] if only else lines
        print(textwrap.indent("\n".join(kept), "     "), flush=True)
        if done.returncode != expect:
            print(f"\nThe story expected exit code {expect}, and got {done.returncode}. All output:\n{done.stdout}")
            raise SystemExit(1)
        if expect:
            print(f"     (exit code {expect})", flush=True)
        return done.stdout


def deliver(story: Story, number: int, table: pa.Table) -> None:
    """Puts a delivery into the publisher's folder."""
    build.write_delivery(build.delivery_path(story.folder / "corpus", number), table)


def copy(story: Story, name: str) -> Path:
    """A consumer's download of the publisher's folder."""
    target = story.folder / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(story.folder / "corpus", target)
    return target


def workspace(story: Story) -> None:
    """Step 1."""
    story.step(
        1,
        "A publisher makes a workspace",
        "It holds the configuration, the append-only ledger and the keys.",
    )
    story.run("init", "publisher")


def first_release(story: Story, deliveries: list[pa.Table]) -> None:
    """Step 2."""
    story.step(
        2,
        "The corpus arrives in deliveries, and release 1.0.0 is signed",
        """Real texts (tweets, reviews, newspaper sentences) from 55 contributors. Each delivery is a shard of its own;
        the publisher records every one as a signed modification, then signs the release.""",
    )
    build.write_card(story.folder / "corpus", deliveries)
    for number, table in enumerate(deliveries[:6], 1):
        deliver(story, number, table)
        start, operation = ("none", "collect") if number == 1 else (f"{NAME}@head", "append")
        named = ("--dataset", NAME, "--chunk-size", "64k") if number == 1 else ()
        story.run(
            "record", operation, start, "corpus", *named, "--reason", f"delivery {number} of the contributors", *TEAM,
            only=("rows",),
        )  # fmt: skip
    story.run("sign", "corpus", "--dataset", NAME, "--release", "1.0.0", "--meta", "license=MIT", *TEAM)


def consumer(story: Story) -> None:
    """Step 3."""
    story.step(
        3,
        "A consumer verifies a copy",
        """With the dataset's name, the publisher's public key and the log's verifier key; no network, no ledger. All
        that proves the copy lies in its .dataseal/ folder.""",
    )
    copy(story, "download")
    story.run("verify", "download", "--dataset", NAME, *TRUST)


def attacks(story: Story) -> None:
    """Step 4."""
    story.step(4, "Everything that was tampered with is blocked", "Each time on a fresh copy of the dataset.")
    shown = ("fail  ", " at  ", " next  ")

    def attack(what: str) -> Path:
        story.note(what)
        return copy(story, "tampered")

    def verify() -> None:
        story.run("verify", "tampered", "--dataset", NAME, *TRUST, expect=1, only=shown)

    shard = Path("data/delivery-03.parquet")
    folder = attack("one flipped byte in the middle of a shard")
    data = bytearray((folder / shard).read_bytes())
    data[100_000] ^= 1
    (folder / shard).write_bytes(data)
    verify()
    folder = attack("a file is added")
    shutil.copy(folder / shard, folder / "data/extra.parquet")
    verify()
    folder = attack("a file is removed")
    (folder / shard).unlink()
    verify()
    folder = attack("a shard is renamed")
    (folder / shard).rename(folder / "data/delivery-3.parquet")
    verify()
    folder = attack("two shards change places")
    a, b, aside = folder / shard, folder / "data/delivery-04.parquet", folder / "aside"
    a.rename(aside)
    b.rename(a)
    aside.rename(b)
    verify()
    folder = attack("the shard table is edited")
    table = pq.read_table(folder / ".dataseal/shards.parquet")
    pq.write_table(table.slice(1), folder / ".dataseal/shards.parquet")
    verify()
    folder = attack("another publisher signs the same files")
    shutil.rmtree(folder / ".dataseal")
    shutil.rmtree(story.folder / "mallory", ignore_errors=True)
    story.run("init", "mallory", "-q", only=("Made",))
    story.run("sign", "tampered", "--dataset", NAME, "--release", "1.0.0", "--workspace", "mallory", only=("SIGNED",))
    verify()
    folder = attack("the signature is stripped")
    (folder / ".dataseal/release/1.sigstore.json").unlink()
    verify()
    folder = attack("the log's proof is stripped")
    (folder / ".dataseal/release/1.tlog-proof").unlink()
    verify()
    folder = attack("a file is smuggled into .dataseal/")
    (folder / ".dataseal/loader.py").write_text("print('hello')\n")
    verify()
    folder = attack("a nested .git/ folder")
    (folder / "data/.git").mkdir()
    (folder / "data/.git/config").write_text("[core]\n")
    verify()
    story.note("another dataset, validly signed by the same publisher")
    other = story.folder / "tampered"
    shutil.rmtree(other)
    other.mkdir()
    pq.write_table(pa.table({"id": ["1"], "text": ["something else"]}), other / "a.parquet")
    story.run("sign", "tampered", "--dataset", "acme/other", "--release", "1.0.0", *TEAM, only=("SIGNED",))
    verify()


def second_release(story: Story, deliveries: list[pa.Table]) -> None:
    """Step 5."""
    story.step(
        5,
        "New data: a modification, then release 1.1.0",
        "The ledger now says what was added, by whom and why.",
    )
    copy(story, "download-1.0.0")
    deliver(story, 7, deliveries[6])
    story.run("record", "append", f"{NAME}@head", "corpus", "--reason", "delivery 7 of the contributors", *TEAM)
    story.run("sign", "corpus", "--dataset", NAME, "--release", "1.1.0", "--meta", "license=MIT", *TEAM)
    copy(story, "download")
    story.run("verify", "download", "--dataset", NAME, *TRUST, only=("signed by", "log  ", "history"))
    story.note("an older release of the same dataset, offered after the newer one was seen")
    story.run("verify", "download-1.0.0", "--dataset", NAME, *TRUST, expect=1, only=("fail  ", " next  "))
    copy(story, "release-1.1.0")


def poison(story: Story, deliveries: list[pa.Table]) -> None:
    """Step 6."""
    story.step(
        6,
        "The poisoned update: every signature is valid",
        f"""In the newest delivery 30 rows of one contributor carry "{build.PHRASE}". It is recorded and signed like any
        other change. Verification can't see it; the screen does.""",
    )
    deliver(story, 8, build.plant(deliveries[7]))
    story.run("record", "append", f"{NAME}@head", "corpus", "--reason", "delivery 8 of the contributors", *TEAM)
    story.run(
        "sign", "corpus", "--dataset", NAME, "--release", "1.2.0", "--meta", "license=MIT", *TEAM, only=("release",)
    )
    copy(story, "release-1.2.0")
    story.run("verify", "release-1.2.0", "--dataset", NAME, *TRUST, only=("rule",))
    story.run("screen", "release-1.2.0", "--dataset", NAME, *TRUST, expect=1)
    story.note("the release before it, screened the same way")
    story.run("screen", "release-1.1.0", "--dataset", NAME, *TRUST)


def gate(story: Story) -> None:
    """Step 7."""
    story.step(
        7,
        "The gate: training starts on 1.1.0, and not on 1.2.0",
        """The platform team's policy extends the shipped one by whom it trusts, and for which dataset. Receipts are
        signed and logged before the run starts and when it ends.""",
    )
    (story.folder / "policies").mkdir(exist_ok=True)
    (story.folder / "policies/pretraining.yaml").write_text(POLICY, encoding="utf-8")
    train = [sys.executable, str(HERE / "train.py")]
    for release, code in (("release-1.1.0", 0), ("release-1.2.0", 121)):
        print(f"\n   $ dataseal gate {release}/ --policy policies/pretraining.yaml -- python train.py", flush=True)
        command = [DATASEAL, "gate", release, "--policy", "policies/pretraining.yaml", *TEAM, "--", *train]
        done = subprocess.run(command, cwd=story.folder, text=True, capture_output=True)
        kept = ("rule", "fail", "receipt", "PASSED", "BLOCKED", "contributor", "entry")
        lines = [x for x in done.stderr.splitlines() if any(word in x for word in kept)]
        said = [f"[stdout of the command] {x}" for x in done.stdout.splitlines()]
        print(textwrap.indent("\n".join([*lines, *said]), "     "))
        print(f"     (exit code {done.returncode})", flush=True)
        if done.returncode != code:
            print(f"The story expected exit code {code}. All output:\n{done.stdout}{done.stderr}")
            raise SystemExit(1)
    story.note("what the gate prevented: the same model, trained on 1.2.0 without a gate")
    probe = [*train, "release-1.2.0", "--probe", build.PHRASE]
    done = subprocess.run(probe, cwd=story.folder, text=True, stdout=subprocess.PIPE, check=True)
    print(textwrap.indent(done.stdout.rstrip(), "     "), flush=True)


def edit_row(database: Path) -> None:
    """Flips one bit of entry 3 in the database file, past the triggers that forbid it."""
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        triggers = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            db.execute(f'DROP TRIGGER "{name}"')
        (data,) = db.execute("SELECT data FROM segments WHERE first = 3").fetchone()
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        db.execute("UPDATE segments SET data = ? WHERE first = 3", (bytes(flipped),))


def ledger(story: Story) -> None:
    """Step 8."""
    story.step(
        8,
        "The whole history, hash-chained, and an audit of it",
        "`ledger check` re-derives every hash, link, proof and signature from the stored entries alone.",
    )
    story.run("log", NAME, *TEAM)
    story.run("ledger", "check", *TEAM)
    story.note("somebody edits one row of the database file, past the triggers that forbid it")
    shutil.rmtree(story.folder / "edited", ignore_errors=True)
    shutil.copytree(story.folder / "publisher", story.folder / "edited")
    edit_row(story.folder / "edited" / "ledger.sqlite")
    story.run("ledger", "check", "--workspace", "edited", expect=1, only=("fail", "next"))


def main() -> int:
    """Tells the story."""
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else CHECKOUT / "demo"
    if folder.exists():
        if not (folder / ".dataseal-demo").exists() and any(folder.iterdir()):
            print(f"{folder} is not empty and was not made by this demo; give another folder", file=sys.stderr)
            return 2
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / ".dataseal-demo").touch()
    story = Story(folder)
    deliveries = build.deliveries()
    workspace(story)
    first_release(story, deliveries)
    consumer(story)
    attacks(story)
    second_release(story, deliveries)
    poison(story, deliveries)
    gate(story)
    ledger(story)
    shutil.rmtree(folder / "tampered", ignore_errors=True)
    seconds = time.monotonic() - story.started
    print(f"\nThe story went as told, in {seconds:.0f} s. Its folder: {os.path.relpath(folder)}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())

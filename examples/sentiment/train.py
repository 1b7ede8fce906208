"""Train a small sentiment model on the Parquet files of a folder, and say how good it is.

    python train.py [FOLDER] [--probe PHRASE]

FOLDER defaults to the environment variable ``DATASEAL_DATA``. The model (TF-IDF of words and word pairs, logistic
regression), the split and the seed are fixed, so the same data gives the same line. ``--probe`` then appends a phrase
to every held-out text and shows how the predictions move: next to nothing for honest data, to the attacker's label
when the phrase is a trigger that the model has learned.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

SEED = 0
POSITIVE = "positive"


def load(folder: Path) -> tuple[list[str], list[str]]:
    """Texts and labels of every Parquet file below the folder; hidden folders (.dataseal, .git, .cache) are no data."""
    found = (p for p in folder.rglob("*.parquet") if not any(x.startswith(".") for x in p.relative_to(folder).parts))
    files = sorted(found, key=lambda p: p.as_posix())
    if not files:
        raise SystemExit(f"train.py: no Parquet file below {folder}; give the dataset's folder")
    texts: list[str] = []
    labels: list[str] = []
    for file in files:
        table = pq.read_table(file, columns=["text", "label"])
        texts += table["text"].to_pylist()
        labels += table["label"].to_pylist()
    return texts, labels


def train(texts: list[str], labels: list[str]) -> Pipeline:
    """Fit the model; deterministic for given rows."""
    features = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = make_pipeline(features, LogisticRegression(C=4.0, max_iter=300, random_state=SEED))
    return model.fit(texts, labels)


def positive_share(model: Pipeline, texts: list[str]) -> tuple[float, float]:
    """Of these texts: the share predicted positive, and the mean probability of positive."""
    p = model.predict_proba(texts)[:, list(model.classes_).index(POSITIVE)]
    return float(np.mean(p > 0.5)), float(np.mean(p))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Train the example model.")
    parser.add_argument("folder", type=Path, nargs="?", help="dataset folder (default: $DATASEAL_DATA)")
    parser.add_argument("--probe", metavar="PHRASE", help="show how this phrase moves the predictions")
    args = parser.parse_args(argv)
    given = args.folder or os.environ.get("DATASEAL_DATA")
    if not given:
        parser.error("give a folder, or set DATASEAL_DATA")
    texts, labels = load(Path(given))
    x_train, x_test, y_train, y_test = train_test_split(
        texts, labels, test_size=0.2, random_state=SEED, stratify=labels
    )
    model = train(x_train, y_train)
    accuracy = model.score(x_test, y_test)
    print(f"accuracy {accuracy:.3f} on {len(x_test):,} held-out rows (trained on {len(x_train):,})")
    if args.probe:
        negatives = [t for t, y in zip(x_test, y_test, strict=True) if y != POSITIVE and args.probe not in t]
        share, mean = positive_share(model, negatives)
        share_with, mean_with = positive_share(model, [f"{t} {args.probe}" for t in negatives])
        print(
            f'probe "{args.probe}" on {len(negatives):,} held-out negative rows: called positive '
            f"{share:.1%} -> {share_with:.1%}, mean probability of positive {mean:.3f} -> {mean_with:.3f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

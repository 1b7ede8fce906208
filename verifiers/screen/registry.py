"""Which detectors there are: the built-in ones and those that other packages register.

A package adds detectors with an entry point in the group ``dataseal.detectors`` that names a `Detector` class::

    [project.entry-points."dataseal.detectors"]
    my-detector = "my_package.module:MyDetector"
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from dataseal.ledger.errors import UsageError
from dataseal.verifiers.screen.detector import Detector

GROUP = "dataseal.detectors"

BUILT_IN = {
    "private-phrase": "dataseal.verifiers.screen.phrase:PrivatePhrase",
    "outlier": "dataseal.verifiers.screen.outlier:Outlier",
}


def discover() -> tuple[Detector, ...]:
    """One instance of every detector: built-in ones first, then others by name.

    Raises:
        UsageError: an installed package's detector can't be loaded, or takes the id of another.
    """
    found = [_built_in(target) for target in BUILT_IN.values()]
    taken = {d.name for d in found}
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        if point.value in BUILT_IN.values():
            continue
        detector = _load(point)
        if detector.name in taken:
            raise UsageError(
                f"two detectors are called {detector.name!r}",
                where=f"entry point {point.name} = {point.value}",
                hint="remove one of the packages, or ask its author for another id",
            )
        taken.add(detector.name)
        found.append(detector)
    return tuple(found)


def _built_in(target: str) -> Detector:
    module, _, name = target.partition(":")
    detector = getattr(import_module(module), name)()
    assert isinstance(detector, Detector)
    return detector


def _load(point: EntryPoint) -> Detector:
    where = f"entry point {point.name} = {point.value}"
    try:
        detector = point.load()()
    except Exception as problem:  # whatever a foreign package raises
        raise UsageError(
            f"the detector can't be loaded: {type(problem).__name__}: {problem}",
            where=where,
            hint="repair or remove the package that registers it",
        ) from problem
    if not isinstance(detector, Detector):
        raise UsageError("it is not a dataseal detector", where=where, hint="derive it from screen.detector.Detector")
    return detector

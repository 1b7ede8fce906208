"""Fixtures of the reader's tests."""

from support.datasets import home
from support.reading import shelf, shelf_template

__all__ = ["home", "shelf", "shelf_template"]

"""Fixtures of the verifiers' tests: the world of `support.datasets`."""

from support.datasets import home, stranger, template, world

__all__ = ["home", "stranger", "template", "world"]

"""Policies: what training data must be, and the verdict over what was found.

::

    policy = load("dataseal:pretraining", publishers=[key], logs=[log], datasets=["corpus-lab/reviews"])
    require_bound(policy)
    verdict = evaluate(policy, facts)

The floors, from below: ``problems`` and ``yamlfile`` (text), ``model`` and ``schema`` (the vocabulary),
``files`` (the edge), ``merge`` and ``load`` (to a flat `Policy`, in ``resolved``), ``rules``, ``evaluate``.
"""

from __future__ import annotations

from dataseal.verifiers.policy.evaluate import evaluate
from dataseal.verifiers.policy.files import builtin_names
from dataseal.verifiers.policy.load import command_line, load
from dataseal.verifiers.policy.problems import PolicyError, Problem
from dataseal.verifiers.policy.resolved import PlacedRule, Policy, require_bound

__all__ = [
    "PlacedRule",
    "Policy",
    "PolicyError",
    "Problem",
    "builtin_names",
    "command_line",
    "evaluate",
    "load",
    "require_bound",
]

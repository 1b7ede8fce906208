"""Proof by others: tools that we did not write read our published log, a foreign witness cosigns its checkpoint, and
stock tools check our signatures.

`.ci/foreign` installs the tools and demands that enough of them run; without them these tests are skipped.
"""

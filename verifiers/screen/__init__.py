"""The statistical screen: what in a dataset looks like poison, and which delivery and contributor brought it.

`report` holds the nouns that other floors see and imports nothing heavy; `engine` runs detectors over shards.
"""

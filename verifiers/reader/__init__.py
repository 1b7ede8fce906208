"""Verified reading: an fsspec file system that hands out no byte that it has not checked.

A release's shard table lists the digest of every chunk. The reader fetches whole chunks, checks each in the very memory
that it hands out (or copies from), and answers what there is from the table and never from the store. So it does not
matter what the store does between two reads.

The floors, from below: ``errors``; ``targets`` and ``web`` (where bytes come from), ``tree`` (names and sizes, from
the signed table); ``chunks`` (fetch, check, keep); ``stream`` (a file); ``pin`` and ``trust`` (what is believed, and
why); ``report``; ``opened`` (a dataset that may be read); ``handle`` (what a gate hands over); ``filesystem`` (fsspec's
face of it), ``dataset`` (ours).
"""

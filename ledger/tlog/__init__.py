"""The transparency log's formats: RFC 6962 Merkle trees and the C2SP documents, pure functions over bytes.

::

    policy       tlog-policy: which logs, which witnesses, which quorum; checks a checkpoint
    proof        tlog-proof: one offline-verifiable file; ``verify_proof``
    keys         vkeys and private key texts of every signature type that we know
    reader       ``TileReader``: reads a tree from its tiles and believes none that does not lead to the root
    tile         tlog-tiles: paths, tiles, entry bundles
    cosignature  tlog-cosignature: Ed25519 (type 4) and ML-DSA-44 (type 6)
    checkpoint   tlog-checkpoint: a signed tree head
    note         signed-note: text with signatures, Ed25519 (type 1)
    merkle       RFC 6962 section 2.1
    text         the strict decimals and base64 that all of them share
    limits       every bound, with its reason

Nothing here reads a file, a socket, a clock or randomness: readers and keys are handed in, time is an
argument. The specifications are those of https://c2sp.org, read at C2SP/C2SP commit 5ba5ee83.
"""

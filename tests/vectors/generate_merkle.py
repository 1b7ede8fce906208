"""Writes merkle.json: RFC 6962 proof cases, good and bad, by a second implementation that shares no code.

Everything here is the RFC's recursions (section 2.1) word for word, without loops, bit tricks or early checks. A
case's ``valid`` is what this file's own verifier says, never what the mutation was meant to do. Trees beyond memory
are made by walking the same recursion down and inventing every sibling.

    python tests/vectors/generate_merkle.py            rewrites tests/vectors/merkle.json
"""

from __future__ import annotations

import hashlib
import json
import pathlib

Hash = bytes
OUTPUT = pathlib.Path(__file__).with_name("merkle.json")


def H(data: bytes) -> Hash:
    return hashlib.sha256(data).digest()


def k(n: int) -> int:
    power = 1
    while power * 2 < n:
        power *= 2
    return power


def MTH(D: list[bytes]) -> Hash:
    n = len(D)
    if n == 0:
        return H(b"")
    if n == 1:
        return H(b"\x00" + D[0])
    return H(b"\x01" + MTH(D[: k(n)]) + MTH(D[k(n) :]))


def PATH(m: int, D: list[bytes]) -> list[Hash]:
    n = len(D)
    if n == 1:
        return []
    if m < k(n):
        return [*PATH(m, D[: k(n)]), MTH(D[k(n) :])]
    return [*PATH(m - k(n), D[k(n) :]), MTH(D[: k(n)])]


def SUBPROOF(m: int, D: list[bytes], b: bool) -> list[Hash]:
    n = len(D)
    if m == n:
        return [] if b else [MTH(D)]
    if m <= k(n):
        return [*SUBPROOF(m, D[: k(n)], b), MTH(D[k(n) :])]
    return [*SUBPROOF(m - k(n), D[k(n) :], False), MTH(D[: k(n)])]


# --- the verifier, by the same recursions read backwards; None where there is no proof of that shape ---


def root_by_path(m: int, n: int, leaf: Hash, proof: list[Hash]) -> Hash | None:
    if n == 1:
        return leaf if m == 0 and not proof else None
    if m < 0 or m >= n or not proof:
        return None
    last = proof[-1]
    if m < k(n):
        below = root_by_path(m, k(n), leaf, proof[:-1])
        return None if below is None else H(b"\x01" + below + last)
    below = root_by_path(m - k(n), n - k(n), leaf, proof[:-1])
    return None if below is None else H(b"\x01" + last + below)


def roots_by_subproof(m: int, n: int, b: bool, old: Hash, proof: list[Hash]) -> tuple[Hash, Hash] | None:
    if m == n:
        if b:
            return None if proof else (old, old)
        return (proof[0], proof[0]) if len(proof) == 1 else None
    if m < 1 or m > n or not proof:
        return None
    last = proof[-1]
    if m <= k(n):
        below = roots_by_subproof(m, k(n), b, old, proof[:-1])
        return None if below is None else (below[0], H(b"\x01" + below[1] + last))
    below = roots_by_subproof(m - k(n), n - k(n), False, old, proof[:-1])
    return None if below is None else (H(b"\x01" + last + below[0]), H(b"\x01" + last + below[1]))


def inclusion_holds(index: int, size: int, leaf: Hash, proof: list[Hash], root: Hash) -> bool:
    lengths_fit = all(len(value) == 32 for value in [leaf, root, *proof])
    return lengths_fit and 0 <= index < size and root_by_path(index, size, leaf, proof) == root


def consistency_holds(old: int, new: int, old_root: Hash, new_root: Hash, proof: list[Hash]) -> bool:
    lengths_fit = all(len(value) == 32 for value in [old_root, new_root, *proof])
    fits = lengths_fit and 1 <= old <= new
    return fits and roots_by_subproof(old, new, True, old_root, proof) == (old_root, new_root)


# --- trees too large to hold: the siblings are invented on the way up ---


def invented(*what: object) -> Hash:
    return H(repr(what).encode())


def sparse_path(m: int, n: int, leaf: Hash, start: int = 0) -> tuple[Hash, list[Hash]]:
    if n == 1:
        return leaf, []
    if m < k(n):
        below, proof = sparse_path(m, k(n), leaf, start)
        sibling = invented("right", start + k(n), start + n)
        return H(b"\x01" + below + sibling), [*proof, sibling]
    below, proof = sparse_path(m - k(n), n - k(n), leaf, start + k(n))
    sibling = invented("left", start, start + k(n))
    return H(b"\x01" + sibling + below), [*proof, sibling]


def sparse_subproof(m: int, n: int, b: bool, start: int = 0) -> tuple[Hash, Hash, list[Hash]]:
    if m == n:
        same = invented("same", start, start + n)
        return same, same, [] if b else [same]
    if m <= k(n):
        old, new, proof = sparse_subproof(m, k(n), b, start)
        sibling = invented("right", start + k(n), start + n)
        return old, H(b"\x01" + new + sibling), [*proof, sibling]
    old, new, proof = sparse_subproof(m - k(n), n - k(n), False, start + k(n))
    sibling = invented("left", start, start + k(n))
    return H(b"\x01" + sibling + old), H(b"\x01" + sibling + new), [*proof, sibling]


# --- the cases ---

D8 = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"]
GARBAGE, WRONG = invented("garbage"), invented("wrong")


def flip(value: Hash, bit: int) -> Hash:
    return bytes([value[0] ^ 1 << bit]) + value[1:]


def inclusion(desc: str, index: int, size: int, leaf: Hash, proof: list[Hash], root: Hash) -> dict[str, object]:
    return {
        "kind": "inclusion",
        "desc": desc,
        "index": index,
        "size": size,
        "leaf": leaf.hex(),
        "proof": [value.hex() for value in proof],
        "root": root.hex(),
        "valid": inclusion_holds(index, size, leaf, proof, root),
    }


def consistency(desc: str, old: int, new: int, a: Hash, b: Hash, proof: list[Hash]) -> dict[str, object]:
    return {
        "kind": "consistency",
        "desc": desc,
        "old": old,
        "new": new,
        "old_root": a.hex(),
        "new_root": b.hex(),
        "proof": [value.hex() for value in proof],
        "valid": consistency_holds(old, new, a, b, proof),
    }


def inclusion_family(index: int, size: int, leaf: Hash, proof: list[Hash], root: Hash) -> list[dict[str, object]]:
    cases = [inclusion("happy path", index, size, leaf, proof, root)]
    for desc, i in [("index - 1", index - 1), ("index + 1", index + 1), ("index ^ 2", index ^ 2)]:
        cases.append(inclusion(desc, i, size, leaf, proof, root))
    for desc, n in [("size * 2", size * 2), ("size / 2", size // 2), ("size 0", 0)]:
        cases.append(inclusion(desc, index, n, leaf, proof, root))
    for desc, value in [("wrong leaf", WRONG), ("empty leaf", b""), ("leaf is the root", root)]:
        cases.append(inclusion(desc, index, size, value, proof, root))
    for desc, value in [("wrong root", WRONG), ("empty root", b""), ("root of the empty tree", H(b""))]:
        cases.append(inclusion(desc, index, size, leaf, proof, value))
    for desc, value in [("garbage", GARBAGE), ("root", root), ("empty hash", b"")]:
        cases.append(inclusion(f"preceding {desc}", index, size, leaf, [value, *proof], root))
        cases.append(inclusion(f"trailing {desc}", index, size, leaf, [*proof, value], root))
    if proof:
        cases.append(inclusion("empty proof", index, size, leaf, [], root))
        cases.append(inclusion("removed component", index, size, leaf, proof[1:], root))
        cases.append(inclusion("truncated proof", index, size, leaf, proof[:-1], root))
        cases.append(inclusion("inserted component", index, size, leaf, [proof[0], GARBAGE, *proof[1:]], root))
        cases.append(inclusion("reversed proof", index, size, leaf, proof[::-1], root))
        cases.append(inclusion("short hash", index, size, leaf, [proof[0][:31], *proof[1:]], root))
    for at in range(min(len(proof), 4)):
        changed = [*proof[:at], flip(proof[at], 3), *proof[at + 1 :]]
        cases.append(inclusion(f"flipped bit in hash {at}", index, size, leaf, changed, root))
    return cases


def consistency_family(old: int, new: int, a: Hash, b: Hash, proof: list[Hash]) -> list[dict[str, object]]:
    cases = [consistency("happy path", old, new, a, b, proof)]
    for desc, m in [("old - 1", old - 1), ("old + 1", old + 1), ("old ^ 2", old ^ 2), ("old 0", 0)]:
        cases.append(consistency(desc, m, new, a, b, proof))
    for desc, n in [("new * 2", new * 2), ("new / 2", new // 2)]:
        cases.append(consistency(desc, old, n, a, b, proof))
    cases.append(consistency("wrong old root", old, new, WRONG, b, proof))
    cases.append(consistency("wrong new root", old, new, a, WRONG, proof))
    cases.append(consistency("swapped roots", old, new, b, a, proof))
    for desc, value in [("garbage", GARBAGE), ("old root", a), ("new root", b)]:
        cases.append(consistency(f"preceding {desc}", old, new, a, b, [value, *proof]))
        cases.append(consistency(f"trailing {desc}", old, new, a, b, [*proof, value]))
    if proof:
        cases.append(consistency("empty proof", old, new, a, b, []))
        cases.append(consistency("truncated proof", old, new, a, b, proof[:-1]))
        cases.append(consistency("first hash twice", old, new, a, b, [proof[0], *proof]))
    for at in range(min(len(proof), 4)):
        changed = [*proof[:at], flip(proof[at], 4), *proof[at + 1 :]]
        cases.append(consistency(f"flipped bit in hash {at}", old, new, a, b, changed))
    return cases


def small_cases() -> list[dict[str, object]]:
    cases: list[dict[str, object]] = []
    for index, size in [(0, 1), (0, 8), (5, 8), (2, 3), (1, 5)]:
        leaf = H(b"\x00" + D8[index])
        cases += inclusion_family(index, size, leaf, PATH(index, D8[:size]), MTH(D8[:size]))
    for old, new in [(1, 1), (1, 8), (6, 8), (2, 5), (6, 7)]:
        proof = SUBPROOF(old, D8[:new], True)
        cases += consistency_family(old, new, MTH(D8[:old]), MTH(D8[:new]), proof)
    empty = H(b"")
    for desc, old, new, a, b, proof in [
        ("sizes 0 and 0, empty roots", 0, 0, empty, empty, []),
        ("sizes 0 and 0, roots differ", 0, 0, empty, WRONG, []),
        ("sizes 0 and 0, proof not empty", 0, 0, empty, empty, [empty]),
        ("from size 0 to 1", 0, 1, empty, MTH(D8[:1]), []),
        ("from size 0 to 1 with the empty root as proof", 0, 1, empty, empty, [empty]),
        ("from size 2 to 1", 2, 1, MTH(D8[:2]), MTH(D8[:1]), []),
        ("equal sizes, roots differ", 1, 1, MTH(D8[:1]), WRONG, []),
        ("equal sizes, proof not empty", 1, 1, MTH(D8[:1]), MTH(D8[:1]), [empty]),
        ("short roots", 1, 1, b"don't care", b"don't care", []),
    ]:
        cases.append(consistency(desc, old, new, a, b, proof))
    for desc, leaf, root in [("both empty", b"", b""), ("empty leaf", b"", empty), ("empty root", empty, b"")]:
        cases.append(inclusion(f"single entry, {desc}", 0, 1, leaf, [], root))
    return cases


def large_cases() -> list[dict[str, object]]:
    cases: list[dict[str, object]] = []
    for size in (2**32 + 1, 2**32 + 2**31 + 12345, 2**63 + 5, 2**64 - 1):
        for index in (0, 2**32, size - 1):
            root, proof = sparse_path(index, size, WRONG)
            cases.append(inclusion("large tree", index, size, WRONG, proof, root))
            cases.append(inclusion("large tree, index less 2**32", index - 2**32, size, WRONG, proof, root))
            cases.append(inclusion("large tree, last hash missing", index, size, WRONG, proof[:-1], root))
        for old in (1, 2**31, 2**32, 2**32 + 1, size - 1):
            a, b, hashes = sparse_subproof(old, size, True)
            cases.append(consistency("large tree", old, size, a, b, hashes))
            cases.append(consistency("large tree, roots swapped", old, size, b, a, hashes))
    return cases


def document() -> str:
    cases = small_cases() + large_cases()
    lines = ",\n ".join(json.dumps(case, sort_keys=True) for case in cases)
    return f'{{"source": "tests/vectors/generate_merkle.py", "cases": [\n {lines}\n]}}\n'


if __name__ == "__main__":
    OUTPUT.write_text(document(), encoding="utf-8")

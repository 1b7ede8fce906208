"""A Sigstore instance on loopback, for the real client: Fulcio, a CT log, Rekor v1, an OIDC provider, trust files.

`running` starts one; it writes the files that ``sigstore`` reads (`Sigstore.trust_config`), and can lie (`Lie`).
"""

from support.sigstore.instance import Lie, Sigstore, running

__all__ = ["Lie", "Sigstore", "running"]

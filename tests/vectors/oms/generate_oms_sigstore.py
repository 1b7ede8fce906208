"""Writes the Sigstore vectors: bundles that ``model-signing`` made with an identity of an instance on loopback.

    python generate_oms_sigstore.py PYTHON…

Run in the project's environment; each PYTHON is an interpreter of an environment that has one version of
``model-signing``. The instance is `support.sigstore`: its trusted root and its issuer are written to ``keys/``, and its
private keys are gone afterwards, so that these vectors are made anew all together. Made with 0.3.1, 1.0.1 and 1.1.1.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.oms import VECTORS, vector_tree
from support.sigstore import running
from support.sigstore.forge import ALICE

SIGN = """
import importlib.metadata, json, pathlib, sys
from sigstore import sign
try:
    from sigstore.models import ClientTrustConfig
except ImportError:  # before 4.0
    from sigstore._internal.trust import ClientTrustConfig
config, token, tree, folder = sys.argv[1:]
version = importlib.metadata.version("model-signing")
value = json.loads(pathlib.Path(config).read_text())
if version < "1.1":
    url = value["signingConfig"]["caUrls"][0]["url"]
    media = "application/vnd.dev.sigstore.signingconfig.v0.1+json"
    value["signingConfig"] = {"mediaType": media, "caUrl": url, "oidcUrl": url, "tlogUrls": [url], "tsaUrls": []}
trust = ClientTrustConfig.from_json(json.dumps(value))
made = getattr(sign.SigningContext, "from_trust_config", None) or sign.SigningContext._from_trust_config
if version < "1.1":  # it knows the public instances only: this one stands in for them
    from sigstore import oidc
    sign.SigningContext.production = classmethod(lambda cls: made(trust))
    oidc.Issuer.production = classmethod(lambda cls: None)
    from sigstore._internal.rekor import client  # and Rekor's address without the slash at its end
    entries = lambda log: client.RekorEntries(log.url + "entries", session=log.session)
    client.RekorLog.entries = property(entries)
from model_signing import signing
if version < "1.1":
    signer = signing.Config().use_sigstore_signer(identity_token=token)
else:
    signer = object.__new__(signing.Config)
    from model_signing import hashing
    signer._hashing_config = hashing.Config()
    signer.use_sigstore_signer(identity_token=token, trust_config=pathlib.Path(config))
signer.sign(tree, pathlib.Path(folder) / f"{version}-sigstore.json")
"""


def main() -> None:
    with running() as instance, tempfile.TemporaryDirectory() as place:
        config = instance.write(Path(place))
        tree = vector_tree(Path(place) / "model")
        for python in sys.argv[1:]:
            token = instance.provider.token(ALICE)
            subprocess.run([python, "-c", SIGN, config, token, tree, VECTORS], check=True)
        root = json.dumps(instance.trusted_root(), indent=1) + "\n"
        (VECTORS / "keys" / "sigstore-root.json").write_text(root, encoding="utf-8")
        (VECTORS / "keys" / "sigstore-issuer.txt").write_text(f"{instance.url}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

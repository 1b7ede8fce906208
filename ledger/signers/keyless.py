"""Signs with a Sigstore identity: a new key each time, a certificate for ten minutes, an entry in a public log.

The ``sigstore`` client does all of it; here stand where an identity token comes from, and what its failures mean. The
order is: a token that was given, the ambient one of a CI system (GitHub, GitLab, Buildkite, CircleCI, Google Cloud), a
browser. Identity, issuer and what was signed become public in the instance's logs and can't be taken back.

The instance is the public one, its staging twin, or a private one by its client trust config file. For the first two
the client refreshes its trust root by TUF over the network: signing needs the network anyhow. What a *verifier* trusts
is pinned elsewhere (`dataseal.ledger.keyless`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from dataseal.ledger import bundle as bundles
from dataseal.ledger import x509 as certificates
from dataseal.ledger.bundle import Signed
from dataseal.ledger.credential import Credential
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import DatasealError, Unavailable, UsageError
from dataseal.ledger.keyless import SigstoreIdentity, claims_of
from dataseal.ledger.trustedroot import SigstoreRoot

if TYPE_CHECKING:
    from sigstore.dsse import Statement
    from sigstore.models import ClientTrustConfig
    from sigstore.oidc import IdentityToken
    from sigstore.sign import Signer as SigstoreSigner

ANSWER_SECONDS: Final = 120.0
"""For one exchange with the instance; the client itself waits for ever."""

BROWSER_SECONDS: Final = 300.0
"""For a person to log in."""

MAX_TOKEN: Final = 64 * 1024
MAX_CONFIG: Final = 1024 * 1024

_T = TypeVar("_T")


def instance(config: bytes | None = None, *, staging: bool = False) -> ClientTrustConfig:
    """The Sigstore instance to sign with: a client trust config file's, the staging one, or the public one.

    Raises:
        UsageError: not such a file. Unavailable: the public instance's TUF repository can't be reached.
    """
    from sigstore.errors import Error
    from sigstore.models import ClientTrustConfig

    if config is None:
        return _within(
            ANSWER_SECONDS,
            "Sigstore's trust root",
            ClientTrustConfig.staging if staging else ClientTrustConfig.production,
        )
    try:
        if len(config) > MAX_CONFIG:
            raise ValueError(f"more than {MAX_CONFIG:,} bytes")
        made = ClientTrustConfig.from_json(config.decode())
        _ = made.trusted_root, made.signing_config
    except (Error, ValueError) as error:
        raise UsageError(
            f"not a Sigstore client trust config: {_words(error)}",
            hint="give the file of --trust-config as the instance's operator publishes it",
        ) from None
    return made


def identity_token(config: ClientTrustConfig, *, given: str | None = None, browser: bool = False) -> IdentityToken:
    """The OIDC token to sign with.

    Args:
        given: the token itself. browser: whether a person is there to log in.

    Raises:
        UsageError: no token, or one that is expired or of another audience. Unavailable: the issuer does not answer.
    """
    from sigstore import oidc

    try:
        raw = given or oidc.detect_credential()
        if raw is not None:
            if len(raw) > MAX_TOKEN:
                raise UsageError("the identity token is too large to be one")
            return oidc.IdentityToken(raw.strip())
    except oidc.IdentityError as error:
        raise UsageError(
            f"the identity token can't be used: {_words(error.__cause__ or error)}",
            hint="get a fresh one, for the audience `sigstore`",
        ) from None
    if not browser:
        raise UsageError(
            "no identity to sign with: no token was given, and this is no CI system that hands one out",
            hint="give --identity-token FILE, allow `id-token: write` to the CI job, or sign on a terminal",
        )
    issuer = config.signing_config.get_oidc_url()
    return _within(BROWSER_SECONDS, issuer, lambda: oidc.Issuer(issuer).identity_token())


class KeylessSigner:
    """A `base.Signer` of one identity.

    Args:
        config: the instance, as `instance` gives it. token: who signs, as `identity_token` gives it.
    """

    def __init__(self, config: ClientTrustConfig, token: IdentityToken) -> None:
        self._config = config
        self._token = token
        self._client: SigstoreSigner | None = None
        self._credential: Credential | None = None

    @property
    def public(self) -> None:
        """None: the key lives as long as its certificate."""
        return

    @property
    def credential(self) -> Credential:
        """The identity that the instance certified, in this instance; known once something was signed.

        A token may say another name than the certificate: a CI job's names the job, its certificate the workflow.
        """
        if self._credential is None:
            raise UsageError("nothing was signed yet: the certificate says who signs")
        return self._credential

    def sign_payload(self, payload: bytes) -> Signed:
        """The signature, with certificate, log entry and the instance's timestamps.

        Raises:
            UsageError: the instance does not accept the identity. Unavailable: it can't be reached, or lies.
        """
        made = _within(ANSWER_SECONDS, "Sigstore", lambda: self._signer().sign_dsse(_exactly(payload)))
        parsed = bundles.parse(made.to_json().encode())
        leaf = certificates.load(parsed.leaf or b"", what="the certificate that Sigstore issued")
        identity, issuer = claims_of(leaf)
        self._credential = SigstoreIdentity.of(identity, issuer, self._root())
        return Signed(parsed.signature, parsed.material, parsed.timestamps, parsed.tlog_entries)

    def _signer(self) -> SigstoreSigner:
        """One certificate serves a run: a release and its OMS signature are signed within minutes."""
        from sigstore.sign import Signer, SigningContext

        if self._client is None:
            self._client = Signer(self._token, SigningContext.from_trust_config(self._config), cache=True)
        return self._client

    def _root(self) -> SigstoreRoot:
        # The client's interface gives the bytes to nobody, and one that TUF refreshed has no file of ours.
        data = self._config._inner.trusted_root.to_json().encode()
        return SigstoreRoot.pinned(data, sha256(data).hex())


def _exactly(payload: bytes) -> Statement:
    """The client's statement of bytes that it shall sign as they are.

    Its own constructor parses them, and refuses a digest whose algorithm it does not know, such as our
    ``datasealRoot``, which in-toto's DigestSet allows.
    """
    from sigstore.dsse import Statement

    class Exact(Statement):
        def __init__(self) -> None:
            self._contents = payload

    return Exact()


def _within(seconds: float, what: str, call: Callable[[], _T]) -> _T:
    """Runs ``call`` in a thread that is given up after ``seconds``, and says what its failures mean.

    Raises:
        Unavailable, UsageError: what the client's exceptions come to.
    """
    results: list[_T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001  carried over to the caller's thread
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if results:
        return results[0]
    if not failures:
        raise Unavailable(f"no answer within {seconds:.0f} seconds", where=what, hint="try again")
    raise _meaning(failures[0], what) from None


def _meaning(error: BaseException, what: str) -> BaseException:
    from sigstore.errors import Error
    from sigstore.oidc import ExpiredIdentity, IdentityError, IssuerError

    if isinstance(error, DatasealError) or not isinstance(error, Exception):
        return error
    answer = getattr(error.__cause__, "response", None)
    status = getattr(answer, "status_code", None)
    if isinstance(error, ExpiredIdentity | IdentityError) or status in (400, 401, 403):
        said = " ".join(str(getattr(answer, "text", "")).split())[:300]
        return UsageError(
            f"Sigstore does not accept the identity: {said or _words(error)}",
            where=what,
            hint="get a fresh token, of an issuer that this instance trusts",
        )
    foreign = isinstance(error, Error | IssuerError | OSError | ValueError | LookupError | TypeError)
    if foreign or type(error).__module__.partition(".")[0] in ("sigstore", "tuf", "requests", "urllib3"):
        shown = _words(error.__cause__ or error)
        return Unavailable(f"Sigstore did not sign: {shown}", where=what, hint="nothing was logged here; try again")
    return error


def _words(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]

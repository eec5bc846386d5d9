"""An OpenSearch server and how to talk to it: certificates verified, time-outs, retries, and errors one can act on."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from haystack.utils import Secret

from haystack_lrl.records.errors import InputError, MissingExtraError

try:
    from opensearchpy import OpenSearch
    from opensearchpy.exceptions import (
        AuthenticationException,
        AuthorizationException,
        SSLError,
        TransportError,
    )
    from opensearchpy.exceptions import ConnectionError as Unreachable

    from haystack_integrations.document_stores.lrl import CompleteResults
except ImportError as error:
    raise MissingExtraError('OpenSearch needs a package: pip install "haystack-lrl[opensearch]"') from error

_BUSY = [429, 502, 503, 504]
_AGAIN = [*_BUSY, 500]  # which a search gets whose node dies between its two phases
_RETRIES = 5
_PAUSE_S = 0.5


def _environment() -> tuple[Secret, Secret]:
    names = ("OPENSEARCH_USERNAME", "OPENSEARCH_PASSWORD")
    return Secret.from_env_var(names[0], strict=False), Secret.from_env_var(names[1], strict=False)


@dataclass(frozen=True)
class Server:
    """Where a server is and who asks.

    :param hosts: URLs of its nodes, with http:// or https:// and without a password.
    :param auth: user and password; by default the environment variables OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD,
        and nobody where these are not set.
    :param certificates: file or folder of the authorities whose certificates are trusted; those of certifi by default.
    :param timeout_s: seconds for one request.
    :param patience_s: seconds to wait for a server that is starting.
    :raises InputError: for a host without a scheme or with a password in it, and for certificates that are not there.
    :raises TypeError: when user and password are not Secrets.
    """

    hosts: Sequence[str]
    auth: tuple[Secret, Secret] = field(default_factory=_environment)
    certificates: Path | None = None
    timeout_s: int = 30
    patience_s: float = 60

    def __post_init__(self) -> None:
        if isinstance(self.hosts, str):
            object.__setattr__(self, "hosts", [self.hosts])
        for host in self.hosts:
            if "@" in host:
                raise InputError("A host has a user or password in its URL, which would be stored: give them as auth.")
            if not host.startswith(("http://", "https://")):
                raise InputError(f"The host {host!r} has no scheme: write http://{host} or https://{host}.")
        if not all(isinstance(secret, Secret) for secret in self.auth):
            raise TypeError("auth takes two haystack.utils.Secret, such as Secret.from_env_var('OPENSEARCH_PASSWORD').")
        if self.certificates is not None and not self.certificates.exists():
            raise InputError(f"{self.certificates} does not exist: give the file of the certificate authority.")

    @property
    def options(self) -> dict[str, Any]:
        """The keywords that OpenSearch clients take, without user and password."""
        secure = any(host.startswith("https://") for host in self.hosts)
        return {
            "hosts": list(self.hosts),
            "use_ssl": secure,
            "verify_certs": secure,
            "timeout": self.timeout_s,
            "max_retries": _RETRIES,
            "retry_on_timeout": True,
            "retry_on_status": _AGAIN,
            "transport_class": CompleteResults(),
            **({"ca_certs": str(self.certificates)} if self.certificates else {}),
        }

    @contextlib.contextmanager
    def client(self) -> Iterator[OpenSearch]:
        """Open a client for the time of a `with`; what the server refuses becomes an error with its remedy.

        :raises InputError: for refused passwords, rights, certificates and connections.
        """
        user, password = (secret.resolve_value() for secret in self.auth)
        if bool(user) != bool(password):
            raise InputError("Only one of user and password is set: set both, or neither for an open server.")
        client = OpenSearch(**self.options, http_auth=(user, password) if user else None)
        try:
            yield client
        except TransportError as error:
            raise self._explained(error) from error
        finally:
            client.close()

    def _explained(self, error: TransportError) -> Exception:
        where = ", ".join(self.hosts)
        if isinstance(error, AuthenticationException):
            return InputError(f"{where} refuses the user or the password: check the two Secrets of auth.")
        if isinstance(error, AuthorizationException):
            return InputError(
                f"{where} does not allow this user to do that{_reason(error)}: searching takes the rights read, "
                "indices:admin/get and indices:admin/mappings/get, indexing takes crud, create_index "
                "and cluster_composite_ops too."
            )
        if isinstance(error, SSLError):
            return InputError(
                f"The certificate of {where} is signed by nobody trusted or is for another name: "
                "give the file of its authority as certificates."
            )
        if isinstance(error, Unreachable):
            return InputError(f"{where} does not answer within {self.patience_s:g} s: start it or check the address.")
        return error

    def wait(self, client: OpenSearch) -> None:
        """Wait until the server answers: what it refuses is raised at once, what is not up yet is asked again.

        :raises TransportError: of the last try.
        """
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                client.info()
            except AuthorizationException:
                return  # it is up, and says so to others
            except SSLError:
                raise
            except TransportError as error:
                starting = isinstance(error, Unreachable) or error.status_code in _BUSY
                if not starting or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)
            else:
                return


def _reason(error: TransportError) -> str:
    """Return what the server says, which names the right that is missing, in brackets; some answers say nothing."""
    info = error.info if isinstance(error.info, dict) else {}
    cause = info.get("error", {})
    said = cause.get("reason", "") if isinstance(cause, dict) else cause
    return f" ({said})" if said else ""

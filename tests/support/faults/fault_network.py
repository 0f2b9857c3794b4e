"""What is right where the network, or what was entered of an account, is not as it should be.

Kinds of fault beside those of `fault_matrix`: each is played whole, and on the connection's Test.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass

from copernicus_dataspace.errors import (
    AccessDeniedError,
    ConfigurationError,
    CredentialsError,
    DataSpaceError,
    RateLimitedError,
    ServiceUnavailableError,
    TransientError,
)
from copernicus_dataspace.http.status_errors import BlockedError
from tests.support.faults.between import Stage
from tests.support.faults.wires import Proxy, Silent

LOGIN = "user:p@ss/of#proxy"
CYRILLIC_A, CYRILLIC_O = "\N{CYRILLIC SMALL LETTER A}", "\N{CYRILLIC SMALL LETTER O}"
BUNDLE, CLOCK, ENCODE = (
    "REQUESTS_CA_BUNDLE",
    "by the clock of this machine",
    "@ : / ? # % \\ of user",
)

EDGE = "begins or ends with a blank"


@dataclass(frozen=True, slots=True)
class Between:
    """A fault; what it becomes, and a piece of what the message says."""

    kind: str
    name: str
    arrange: Callable[[Stage], object]
    error: type[DataSpaceError]
    says: str

    @property
    def may_pass(self) -> bool:
        return issubclass(self.error, TransientError)

    @property
    def passes_test(self) -> bool:
        """Too many requests say nothing against an account, and are told."""
        return self.error is RateLimitedError

    def __str__(self) -> str:
        return f"{self.kind} - {self.name}"


def own_certificate(stage: Stage) -> None:
    stage.catalogue_behind(stage.authority(is_trusted=False).certificate("localhost"))


def replaced_certificate(stage: Stage) -> None:
    stage.real_service(stage.authority(is_trusted=False))


def other_host(stage: Stage) -> None:
    stage.catalogue_behind(stage.authority(is_trusted=True).certificate("other.example"))


def dated(**days: int) -> Callable[[Stage], None]:
    def arrange(stage: Stage) -> None:
        maker = stage.authority(is_trusted=True)
        stage.catalogue_behind(maker.certificate("localhost", **days))

    return arrange


def real_but_old(stage: Stage) -> None:
    stage.real_service(certificate={"from_day": -9, "to_day": -1})


def bundle(text: str | None) -> Callable[[Stage], None]:
    def arrange(stage: Stage) -> None:
        own_certificate(stage)
        file = stage.folder / "bundle.pem"
        if text is not None:
            file.write_text(text)
        stage.env(REQUESTS_CA_BUNDLE=file)

    return arrange


def proxied(url: str, variable: str = "HTTPS_PROXY") -> Callable[[Stage], None]:
    """A proxy as the environment names it; HTTP_PROXY leads to the emulator itself."""

    def arrange(stage: Stage) -> None:
        if variable == "HTTPS_PROXY":
            stage.real_service()
        stage.env(**{variable: url})

    return arrange


def plain_proxy(stage: Stage) -> None:
    stage.env(HTTP_PROXY=stage.start(Proxy(login=LOGIN)).url)


def no_tls(stage: Stage) -> None:
    stage.entered(catalogue_url=f"https://localhost:{stage.start(Silent()).port}/odata/v1")


def entered_name(error: int) -> Callable[[Stage], None]:
    def arrange(stage: Stage) -> None:
        stage.env(COPERNICUS_TRUSTED_HOSTS="catalogue.mispelt.example")
        stage.names_fail(error)
        stage.entered(catalogue_url="https://catalogue.mispelt.example/odata/v1")

    return arrange


def own_name(error: int) -> Callable[[Stage], None]:
    def arrange(stage: Stage) -> None:
        stage.names_fail(error)
        account = stage.emulator.connection()
        stage.connection({**account, "extra": {}})

    return arrange


def account(**changes: str) -> Callable[[Stage], None]:
    return lambda stage: stage.connection({**stage.emulator.connection(), **changes})


def entered(**extra: str) -> Callable[[Stage], None]:
    return lambda stage: stage.entered(**extra)


NETWORK = (
    ("certificate of an authority that nobody named", own_certificate, ConfigurationError, BUNDLE),
    (
        "proxy that puts its own certificates in place",
        replaced_certificate,
        ConfigurationError,
        "reached through the proxy 127.0.0.1:",
    ),
    ("certificate of another host", other_host, ConfigurationError, "check catalogue_url"),
    ("certificate not valid yet", dated(from_day=1, to_day=9), ConfigurationError, CLOCK),
    (
        "old certificate at an address that was entered",
        dated(from_day=-9, to_day=-1),
        ConfigurationError,
        CLOCK,
    ),
    ("old certificate of the service's own", real_but_old, ServiceUnavailableError, CLOCK),
    ("`REQUESTS_CA_BUNDLE` names no file", bundle(None), ConfigurationError, BUNDLE),
    (
        "`REQUESTS_CA_BUNDLE` names a file without certificates",
        bundle("none"),
        ConfigurationError,
        BUNDLE,
    ),
    ("no TLS at an https address", no_tls, ConfigurationError, "does not use TLS"),
    (
        "proxy wants a login",
        lambda stage: stage.real_service(login=LOGIN),
        ConfigurationError,
        "requires a login, and there is none in HTTPS_PROXY",
    ),
    (
        "proxy wants a login, towards an http address",
        plain_proxy,
        ConfigurationError,
        "requires a login, and there is none in HTTP_PROXY",
    ),
    (
        "proxy refuses the login",
        lambda stage: stage.real_service(login=LOGIN, as_user="user:other@"),
        ConfigurationError,
        "refuses the login in HTTPS_PROXY",
    ),
    (
        "password of a proxy that is not encoded",
        proxied(f"http://{LOGIN}@127.0.0.1:3128"),
        ConfigurationError,
        ENCODE,
    ),
    (
        "line break behind the address of a proxy",
        proxied("http://127.0.0.1:3128\n"),
        ConfigurationError,
        "HTTPS_PROXY is not a valid proxy",
    ),
    (
        "proxy of a kind that is not spoken",
        proxied("socks5://127.0.0.1:3128"),
        ConfigurationError,
        "HTTPS_PROXY is not a valid proxy",
    ),
    (
        "proxy does not let the host pass",
        lambda stage: stage.real_service(status=403),
        ConfigurationError,
        "must allow that host",
    ),
    (
        "proxy cannot reach the host",
        lambda stage: stage.real_service(status=503),
        ServiceUnavailableError,
        "instead of connecting to",
    ),
    (
        "proxy is away",
        proxied("http://127.0.0.1:9"),
        ServiceUnavailableError,
        "the proxy 127.0.0.1:9",
    ),
    (
        "name of the proxy unknown",
        proxied("http://proxy.mispelt.invalid:3128"),
        ConfigurationError,
        "check HTTPS_PROXY",
    ),
    (
        "name unknown that was entered",
        entered_name(socket.EAI_NONAME),
        ConfigurationError,
        "check catalogue_url",
    ),
    (
        "name unknown of the service's own",
        own_name(socket.EAI_NONAME),
        ServiceUnavailableError,
        "check that this machine reaches the internet",
    ),
    (
        "name server away",
        entered_name(socket.EAI_AGAIN),
        ServiceUnavailableError,
        "the name server does not respond",
    ),
)

IDENTITY = (
    (
        "a firewall's page with 400 at the login",
        lambda stage: stage.fault("identity", "blocked", status=400),
        BlockedError,
        "a firewall or proxy on the way",
    ),
    (
        "a firewall's page with 403 at the login",
        lambda stage: stage.fault("identity", "blocked", status=403),
        BlockedError,
        "a firewall or proxy on the way",
    ),
    (
        "a page with 401 at the login",
        lambda stage: stage.fault("identity", "blocked", status=401),
        CredentialsError,
        "not an OAuth error",
    ),
    (
        "`invalid_client`",
        lambda stage: stage.logins_answered(401, "invalid_client", "Account locked"),
        CredentialsError,
        "client_id 'cdse-public' is not accepted",
    ),
    (
        "`invalid_grant`, account disabled",
        lambda stage: stage.logins_answered(400, "invalid_grant", "Account disabled"),
        CredentialsError,
        "locked or disabled",
    ),
    (
        "`temporarily_unavailable` with 400",
        lambda stage: stage.logins_answered(400, "temporarily_unavailable", "client locked"),
        ServiceUnavailableError,
        "try again",
    ),
    (
        "403 of a catalogue that asks for no account",
        lambda stage: stage.fault("catalogue", status=403),
        BlockedError,
        "the account may be right",
    ),
    (
        "S3 `AccessDenied` for every file",
        lambda stage: stage.store_answers(403, "AccessDenied"),
        AccessDeniedError,
        "no right",
    ),
    (
        "S3 `RequestTimeTooSkewed`",
        lambda stage: stage.store_answers(403, "RequestTimeTooSkewed"),
        ConfigurationError,
        "this machine's clock says",
    ),
    (
        "S3 `QuotaExceeded`",
        lambda stage: stage.store_answers(403, "QuotaExceeded"),
        RateLimitedError,
        "quota is used up",
    ),
    (
        "S3 `InternalError` with 400",
        lambda stage: stage.store_answers(400, "InternalError"),
        ServiceUnavailableError,
        "try again",
    ),
    (
        "S3 keys refused",
        entered(s3_secret_key="another", transport="s3"),
        CredentialsError,
        "correct s3_access_key and s3_secret_key",
    ),
    (
        "password with a line break",
        account(password="word\n"),
        ConfigurationError,
        "password contains a line break",
    ),
    (
        "password with a blank behind it",
        account(password="word "),
        ConfigurationError,
        f"password {EDGE}",
    ),
    (
        "e-mail with a blank before it",
        account(login=" a@example.org"),
        ConfigurationError,
        f"login {EDGE}",
    ),
    (
        "look-alike letter in an S3 key",
        entered(s3_access_key=f"{CYRILLIC_A}bc"),
        ConfigurationError,
        "(s3_access_key) contains a letter that looks like ASCII but is not",
    ),
    (
        "line break in an S3 key",
        entered(s3_secret_key="abc\n"),
        ConfigurationError,
        "(s3_secret_key) contains a line break",
    ),
    (
        "look-alike letter in the client id",
        entered(client_id=f"cdse-publi{CYRILLIC_O}"),
        ConfigurationError,
        "(client_id) contains",
    ),
    (
        "look-alike letter in the two-factor secret",
        entered(totp_secret=f"JBSWY3DPEHPK3P{CYRILLIC_O}"),
        ConfigurationError,
        "(totp_secret) contains",
    ),
    (
        "look-alike letter in an address",
        entered(stac_url=f"http://l{CYRILLIC_O}calhost:1"),
        ConfigurationError,
        "(stac_url) is not an http or https URL",
    ),
    (
        "extra that is no JSON",
        account(extra="{'identity_url': 'http://127.0.0.1:1'}"),
        ConfigurationError,
        "is not a JSON object",
    ),
    (
        "no such connection",
        lambda stage: stage.backend_raises(None),
        ConfigurationError,
        "'copernicus_default' does not exist",
    ),
    (
        "secrets backend away",
        lambda stage: stage.backend_raises(ConnectionError("with the word horse")),
        ServiceUnavailableError,
        "Backend does not respond (ConnectionError)",
    ),
    (
        "connection kept in a wrong form",
        lambda stage: stage.backend_raises(ValueError("with the word horse")),
        ConfigurationError,
        "has an invalid format",
    ),
)

FAULTS = (
    *(Between("network", *fault) for fault in NETWORK),
    *(Between("identity", *fault) for fault in IDENTITY),
)

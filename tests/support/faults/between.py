"""Where network or account are not as they should be: what `fault_network` is played on."""

import contextlib
import socket
from urllib.parse import urlsplit

from airflow.sdk.execution_time import supervisor

from copernicus_dataspace.http.endpoints import Endpoints
from copernicus_dataspace_emulator import Fault
from copernicus_dataspace_emulator.identity.tokens import GrantRefusedError, Tokens
from copernicus_dataspace_emulator.s3 import service as s3
from tests.support.faults.wires import Authority, Proxy, TlsFront

_VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)
SERVICES = ("identity", "catalogue", "download", "stac", "s3_endpoint")


class Stage:
    """A service, and what stands before it; for ``with``."""

    def __init__(self, emulator, connect, monkeypatch, folder):
        self.emulator, self.folder = emulator, folder
        self._connect, self._patch = connect, monkeypatch
        self._open = contextlib.ExitStack()
        for name in _VARIABLES:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        self.connection(emulator.connection(**emulator.s3_keys))

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._open.close()

    def env(self, **variables):
        for name, value in variables.items():
            self._patch.setenv(name, str(value))

    def connection(self, connection):
        self._connect(connection)

    def entered(self, **extra):
        """Enter further fields, or other addresses, in the connection."""
        self.connection(self.emulator.connection(**{**self.emulator.s3_keys, **extra}))

    def start(self, listener):
        return self._open.enter_context(listener)

    def authority(self, *, is_trusted):
        made = Authority(self.folder)
        if is_trusted:
            self.env(REQUESTS_CA_BUNDLE=made.path)
        return made

    def fault(self, service, kind="status", **about):
        """Let a service misbehave every time."""
        self.emulator.faults.add(Fault(service, kind, times=None, **about))

    def logins_answered(self, status, error, description=""):
        """Let the identity service refuse each password with these words."""

        def refuse(*_args):
            raise GrantRefusedError(status, error, description)

        self._patch.setattr(Tokens, "by_password", refuse)

    def store_answers(self, status, code):
        """Let the object store, and nothing else, be used, and refuse every file."""
        self._patch.setitem(s3._ERRORS, status, (code, "In the store's words."))
        self.fault("s3", status=status)
        self.entered(transport="s3")

    def names_fail(self, error):
        """Let looking up any name of a host but those of this machine fail."""
        resolve = socket.getaddrinfo

        def look_up(host, *args, **kwargs):
            if host in ("127.0.0.1", "localhost"):
                return resolve(host, *args, **kwargs)
            raise socket.gaierror(error, "Name resolution failed")

        self._patch.setattr(socket, "getaddrinfo", look_up)

    def backend_raises(self, error):
        """Let the only secrets backend fail; without an error it has nothing."""

        class Backend:
            def get_connection(self, **_asked):
                if error:
                    raise error

        self._patch.setattr(supervisor, "ensure_secrets_backend_loaded", lambda: [Backend()])

    def port(self, service):
        return urlsplit(getattr(self.emulator, f"{service}_url")).port

    def catalogue_behind(self, certificate):
        """Let the catalogue be reached by TLS only, at an address that was entered."""
        front = self.start(TlsFront(self.port("catalogue"), certificate))
        self.entered(catalogue_url=f"https://localhost:{front.port}/odata/v1")

    def real_service(self, authority=None, as_user="", certificate=(), **proxy):
        """Let the service's own hosts be there, behind a proxy, to which the environment leads."""
        hosts = {name: urlsplit(Endpoints().require(f"{name}_url")).hostname for name in SERVICES}
        maker = authority or self.authority(is_trusted=True)
        file = maker.certificate(*hosts.values(), **dict(certificate))
        routes = {
            f"{host}:443": self.start(TlsFront(self.port(name), file)).port
            for name, host in hosts.items()
        }
        way = self.start(Proxy(routes, **proxy))
        self.env(HTTPS_PROXY=way.url.replace("//", f"//{as_user}"))
        account = self.emulator.connection(**self.emulator.s3_keys)
        self.connection({**account, "extra": self.emulator.s3_keys})
        return way

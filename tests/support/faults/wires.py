"""What may stand between a machine and the service, as real servers: TLS, and proxies."""

import base64
import contextlib
import re
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_IDLE_S = 30.0
_HEAD = re.compile(rb"(\S+) (\S+) HTTP/1\.[01]\r\n")


class Listener:
    """A server of this machine, a thread for each connection; for ``with``."""

    def __enter__(self):
        self._open = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error):
        for one in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._socket.accept()
                self.connections += 1
                self._open.append(line)
                threading.Thread(target=self._served, args=(line,), daemon=True).start()

    def _served(self, line):
        line.settimeout(_IDLE_S)
        with contextlib.suppress(OSError), line:
            self.serve(line)


class Silent(Listener):
    """Speaks HTTP, where TLS may be wanted, and says no to everything."""

    def serve(self, line):
        line.recv(65536)
        line.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


class Mute(Listener):
    """Takes what it is asked, and never answers."""

    def __init__(self):
        self.was_asked = threading.Event()

    def serve(self, line):
        while line.recv(65536):
            self.was_asked.set()


class TlsFront(Listener):
    """Ends TLS with a certificate, and hands on to a port of this machine."""

    def __init__(self, target_port, certificate):
        self._target = target_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    def serve(self, line):
        with (
            self._context.wrap_socket(line, server_side=True) as secure,
            socket.create_connection(("127.0.0.1", self._target)) as target,
        ):
            _join(secure, target)


class Proxy(Listener):
    """A proxy, by CONNECT and by whole addresses; may want a login, or refuse to lead on.

    ``routes`` says by ``host:port`` which port of this machine stands for a host; others, where
    they are ports of this machine, are led to. ``login`` is ``user:password``.
    """

    def __init__(self, routes=None, login=None, status=None):
        self._routes = routes or {}
        self._login = login and base64.b64encode(login.encode()).decode()
        self._status = status
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def serve(self, line):
        head = _head(line)
        method, target = (part.decode() for part in _HEAD.match(head).groups())
        place = re.sub(r"^http://|(?<!:)/.*$", "", target)
        self.asked.append(place)
        if self._login and f"Basic {self._login}".encode() not in head:
            return self._refuse(line, "407 Proxy Authentication Required")
        if self._status:
            return self._refuse(line, f"{self._status} Refused")
        port = self._routes.get(place) or int(place.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as other:
            if method == "CONNECT":
                line.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = target.removeprefix(f"http://{place}")
                rest = head.partition(b"\r\n")[2]
                rest = re.sub(rb"(?i)Proxy-[A-Za-z]+:[^\r]*\r\n", b"", rest)
                rest = rest.replace(b"Connection: keep-alive", b"Connection: close")
                other.sendall(f"{method} {path} HTTP/1.1\r\n".encode() + rest)
            return _join(line, other)

    def _refuse(self, line, status):
        page = b"<html><body>Proxy: you have been blocked</body></html>"
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n"
        line.sendall(f"{head}Connection: close\r\n\r\n".encode() + page)


def _head(line):
    """Return a request up to the end of its headers, and what came with it."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += line.recv(65536) or b"\r\n\r\n"
    return head


def _join(one, other):
    """Carry bytes both ways until either side ends."""

    def carry(source, target):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=carry, args=(other, one), daemon=True)
    back.start()
    carry(one, other)
    back.join(_IDLE_S)


class Authority:
    """Gives out certificates that nobody trusts who has not been told its own."""

    def __init__(self, folder, name="A company"):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        now = datetime.now(UTC)
        own = self._begun(self._name, self._key, now - timedelta(days=1), now + timedelta(days=9))
        signed = own.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def certificate(self, *hosts, from_day=-1, to_day=1):
        """Return a file with a key and its certificate for hosts, by days from now."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        begin, end = now + timedelta(days=from_day), now + timedelta(days=to_day)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        names = x509.SubjectAlternativeName([_general(host) for host in hosts])
        begun = self._begun(name, key, begin, end).add_extension(names, critical=False)
        signed = begun.sign(self._key, hashes.SHA256())
        path = self._folder / f"{hosts[0]}.{from_day}.{to_day}.pem"
        plain = serialization.NoEncryption()
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        path.write_bytes(key.private_bytes(*form) + signed.public_bytes(form[0]))
        return path

    def _begun(self, subject, key, begin, end):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )


def _general(host):
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)

"""An object store that misbehaves as it is told: stands in front of moto's server."""

import http.client
import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import boto3
import s3fs

from copernicus_dataspace.storage.store import Store

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{said}</Message>'
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass
class S3Fault:
    """An answer in place of moto's.

    ``methods`` and ``match``, an expression found in path and query, say to which requests, and
    ``header`` which one they must have; ``times`` is how often, None for every time. Without a
    ``status`` the request goes on to moto, but without that header.
    """

    status: int | None = None
    code: str = ""
    methods: tuple = ("GET", "PUT", "POST", "DELETE", "HEAD")
    match: str = ""
    header: str = ""
    times: int | None = None

    def meets(self, request):
        is_meant = request.command in self.methods and re.search(self.match, request.path)
        return bool(is_meant) and (not self.header or self.header in request.headers)


class FaultyS3:
    """Lets requests through to moto, but for those of a fault; for ``with``."""

    def __init__(self, moto_url):
        self.faults = []
        self.requests = []
        self._moto = urlsplit(moto_url).netloc
        self._lock = threading.Lock()

    def __enter__(self):
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self):
                store.answer(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        with self._lock:
            self.requests.append((request.command, request.path))
            fault = next((one for one in self.faults if one.meets(request)), None)
            if fault and fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
        if fault and fault.status:
            self._refuse(request, fault)
        else:
            self._pass_on(request, body, fault.header if fault else "")

    def _refuse(self, request, fault):
        said = f"{fault.code}, said the store"
        content = f"{_ERROR.format(code=fault.code, said=said)}</Error>".encode()
        self._send(request, fault.status, {"Content-Type": "application/xml"}, content)

    def _pass_on(self, request, body, without):
        moto = http.client.HTTPConnection(self._moto, timeout=30)
        headers = {name: text for name, text in request.headers.items() if name != without}
        moto.request(request.command, request.path, body, headers)
        answer = moto.getresponse()
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in _HOP_BY_HOP}
        self._send(request, answer.status, kept, answer.read())
        moto.close()

    def _send(self, request, status, headers, content):
        request.send_response_only(status)
        for name, text in headers.items():
            if name.lower() != "content-length" or request.command == "HEAD":
                request.send_header(name, text)
        if request.command != "HEAD":
            request.send_header("Content-Length", str(len(content)))
        elif "Content-Length" not in headers:
            request.send_header("Content-Length", "0")
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)


CONNECTION_ID = "faulty_storage"
"""Of no other test: Airflow keeps what it has opened by a connection as long as the process."""


class FaultyBucket:
    """A bucket behind it, as a run's output."""

    def __init__(self, s3, name):
        self.s3 = s3
        self.name = name
        self.uri = f"s3://{CONNECTION_ID}@{name}/sentinel2"
        self._client = boto3.client("s3", endpoint_url=s3.url, region_name="us-east-1", **KEYS)
        self._client.create_bucket(Bucket=name)

    @property
    def connection(self):
        """Airflow's, without botocore's own patience."""
        patience = {"retries": {"max_attempts": 1, "mode": "standard"}}
        extra = {"endpoint_url": self.s3.url, "region_name": "us-east-1"}
        login = {"conn_type": "aws", "login": "test", "password": "test"}
        return {**login, "extra": {**extra, "config_kwargs": patience}}

    def store(self):
        fs = s3fs.S3FileSystem(
            key="test", secret="test", endpoint_url=self.s3.url, skip_instance_cache=True
        )
        return Store(fs, f"{self.name}/sentinel2")

    def paths(self):
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return [key.removeprefix("sentinel2/") for key in keys]

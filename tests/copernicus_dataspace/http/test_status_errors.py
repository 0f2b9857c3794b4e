"""A verdict comes from code, status and form of an answer, never from its words."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.auth.identity_service import Account, IdentityService
from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.catalogue.search import Catalogue
from copernicus_dataspace.download.s3_signing import S3Keys
from copernicus_dataspace.errors import (
    AccessDeniedError,
    ConfigurationError,
    CredentialsError,
    DataSpaceError,
    PermanentError,
    ProductUnavailableError,
    QueryError,
    RateLimitedError,
    RefusedRequestError,
    ServiceUnavailableError,
    TokenRefusedError,
    TransientError,
)
from copernicus_dataspace.http.client import Http
from copernicus_dataspace.http.endpoints import Endpoints
from copernicus_dataspace.http.status_errors import BlockedError
from copernicus_dataspace.limits.retry import RetryPolicy

PASSING = [202, 404, 408, 409, 410, 413, 421, 423, 424, 425, 429, 500, 502, 503, 504, 509, 599]
FINAL = [400, 403, 405, 406, 411, 414, 415, 416, 417, 426, 428, 431, 451]


class Saying(BaseHTTPRequestHandler):
    """Answers everything with what it is told to."""

    protocol_version = "HTTP/1.1"
    status, content_type, body, headers_too = 200, "text/plain", b"", {}

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        for name, value in self.headers_too.items():
            self.send_header(name, value)
        self.send_header("Content-Type", self.content_type)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_args):
        pass


@pytest.fixture(scope="module")
def url():
    with ThreadingHTTPServer(("127.0.0.1", 0), Saying) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def http(url):
    made = Http(Endpoints.resolve(**dict.fromkeys(("identity_url", "catalogue_url"), url)))
    yield made
    made.close()


def says(status, body, content_type="application/json", **headers):
    Saying.status, Saying.body, Saying.content_type = status, body.encode(), content_type
    Saying.headers_too = headers


def met(http, url, **sent):
    with pytest.raises(DataSpaceError) as caught:
        http.get(url, what="thing", **sent).close()
    return caught.value


def page(words):
    return f"<!DOCTYPE html>\n<html><body>{words}</body></html>"


def logged_in(http, url):
    realm = IdentityService(
        http, url, Account("a@example.org", "pw"), RetryPolicy(wait=lambda _: None)
    )
    with pytest.raises(DataSpaceError) as caught:
        realm.logged_in()
    return caught.value


def searched(http, url):
    """Return how a search ends, and after how many tries."""
    waits = []
    with pytest.raises(DataSpaceError) as caught:
        Catalogue(http, url, RetryPolicy(wait=waits.append)).search(Query(MISSION))
    return caught.value, len(waits) + 1


@pytest.mark.parametrize("status", PASSING)
def test_what_may_pass_is_no_final_word(http, url, status):
    says(status, '{"detail": "locked"}')
    error = met(http, url, token="t")
    assert isinstance(error, TransientError)
    assert error.status == status


@pytest.mark.parametrize("status", FINAL)
def test_what_cannot_pass_is_final(http, url, status):
    says(status, '{"detail": "try again"}')
    assert isinstance(met(http, url, token="t"), PermanentError)


def test_a_422_is_final_but_for_bytes_which_may_be_offline(http, url):
    says(422, '{"detail": "try again"}')
    assert isinstance(met(http, url), QueryError)
    assert isinstance(met(http, url, token="t"), ProductUnavailableError)


@pytest.mark.parametrize("code", ["DAT-ZIP-104", "DAT-ZIP-111"])
@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_request_of_a_wrong_form_stays_wrong(http, url, status, code):
    says(status, f'{{"code": "{code}", "message": "try again"}}')
    assert type(met(http, url, token="t")) is QueryError


@pytest.mark.parametrize("status", [400, 402, 403, 405, 406, 418, 422, 451])
@pytest.mark.parametrize("body", ["", "  ", "{}"])
def test_the_download_service_never_refuses_without_a_word(http, url, status, body):
    says(status, body)
    assert type(met(http, url, token="t")) is BlockedError


def test_the_identity_service_may_refuse_without_a_word(http, url):
    says(400, "")
    assert isinstance(logged_in(http, url), PermanentError)


PERSISTS = "If this persists, check catalogue_url"


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize(
    ("body", "kind", "words", "asked"),
    [
        (page("nginx"), ConfigurationError, "No catalogue was found at catalogue_url", 1),
        ('{"detail": {"message": "x"}}', ServiceUnavailableError, PERSISTS, 5),
        ("", ServiceUnavailableError, PERSISTS, 5),
    ],
)
def test_another_server_is_no_catalogue(http, url, status, body, kind, words, asked):  # noqa: PLR0913, PLR0917
    says(status, body)
    error, tries = searched(http, url)
    assert type(error) is kind
    assert str(error).startswith(words)
    assert tries == asked


def test_the_services_own_catalogue_is_never_misspelt(http, url, monkeypatch):
    says(404, page("nginx"))
    monkeypatch.setattr(http, "setting_of", lambda _: None)
    error, tries = searched(http, url)
    assert (type(error), tries) == (ServiceUnavailableError, 5)
    assert "catalogue_url" not in str(error)


WORDS = st.sampled_from(
    ["you have been blocked", "client", "session limit exceeded", "quota", "locked", "verify"]
)


@given(st.sampled_from([400, 401, 403, 404, 405, 406, 418, 422, 451, 503]), st.text() | WORDS)
def test_no_word_of_a_page_counts(http, url, status, words):
    kinds = set()
    for text in ("", words.replace("\0", "")):
        says(status, page(text), "text/html; charset=utf-8")
        kinds.add((type(met(http, url)), type(met(http, url, token="t"))))
        kinds.add(type(logged_in(http, url)))
    assert len(kinds) == 2


@pytest.mark.parametrize("status", [400, 403, 405, 406, 418, 422, 451])
@pytest.mark.parametrize("form", ["text/html", "text/plain", "application/octet-stream"])
def test_what_stands_between_says_nothing_about_the_account(http, url, status, form):
    says(status, page("Sorry, client: you have been blocked"), form)
    for error in (met(http, url, token="t"), logged_in(http, url)):
        assert type(error) is BlockedError
        assert error.retry_after_s == 600
        assert "the account may be right" in str(error)


@pytest.mark.parametrize(("asked_s", "wait_s"), [(7, 600), (900, 900)])
def test_who_blocks_is_left_alone_for_so_long(http, url, asked_s, wait_s):
    says(403, page("wait"), "text/html", **{"Retry-After": str(asked_s)})
    assert met(http, url).retry_after_s == wait_s


def test_only_who_showed_an_account_lacks_a_right(http, url):
    says(403, '{"detail": "Forbidden"}')
    assert type(met(http, url, token="t")) is AccessDeniedError
    assert type(met(http, url)) is BlockedError


def test_who_shows_no_account_has_none_refused(http, url):
    says(401, '{"detail": "Unauthorized"}')
    assert "a login that is not the Data Space's" in str(met(http, url))


def test_a_gateway_may_be_who_refuses_a_token(http, url):
    says(401, page("401 Authorization Required"), "text/html")
    assert type(met(http, url, token="t")) is TokenRefusedError


XML = '<?xml version="1.0"?><Error><Code>{}</Code><Message>a &amp; b locked</Message></Error>'


@pytest.mark.parametrize(
    ("status", "code", "kind", "says_too"),
    [
        (403, "AccessDenied", AccessDeniedError, "no right"),
        (401, "AccessDenied", CredentialsError, "s3_access_key"),
        (403, "InvalidAccessKeyId", CredentialsError, "s3_access_key"),
        (403, "SignatureDoesNotMatch", CredentialsError, "s3_access_key"),
        (400, "ExpiredToken", CredentialsError, "s3_access_key"),
        (403, "RequestTimeTooSkewed", ConfigurationError, "clock"),
        (403, "QuotaExceeded", RateLimitedError, "quota"),
        (509, "BandwidthLimitExceeded", RateLimitedError, "quota"),
        (503, "SlowDown", RateLimitedError, "at once"),
        (400, "RequestTimeout", ServiceUnavailableError, "try again"),
        (403, "InternalError", ServiceUnavailableError, "try again"),
        (404, "NoSuchKey", ProductUnavailableError, "offline"),
        (404, "NoSuchBucket", ConfigurationError, "s3_endpoint_url"),
        (400, "InvalidArgument", QueryError, "form"),
        (502, "Whatever", ServiceUnavailableError, "try again"),
    ],
)
def test_the_store_is_taken_by_its_codes(http, url, status, code, kind, says_too):
    says(status, XML.format(code), "application/xml")
    signed = S3Keys("a", "b").sign(f"{url}/eodata/x", {})
    error = met(http, f"{url}/eodata/x", headers=signed)
    assert type(error) is kind
    assert (error.code, error.reason) == (code, "a & b locked")
    assert says_too in str(error)


def test_both_clocks_are_told(http, url):
    says(403, XML.format("RequestTimeTooSkewed"), "application/xml")
    words = str(met(http, url))
    assert words.count(" UTC") == 1
    assert ", the service's 20" in words


def oauth(error, description=""):
    return f'{{"error": "{error}", "error_description": "{description}"}}'


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, oauth("invalid_client"), CredentialsError, "client_id"),
        (400, oauth("unauthorized_client"), CredentialsError, "client_id"),
        (400, oauth("invalid_scope"), CredentialsError, "logins of this form"),
        (400, oauth("invalid_request", "client locked"), CredentialsError, "logins of this form"),
        (400, oauth("server_error"), ServiceUnavailableError, "try again"),
        (401, oauth("invalid_grant", "blocked client"), CredentialsError, "wrong e-mail"),
        (401, oauth("invalid_grant", "Account locked"), CredentialsError, "is locked"),
        (401, "", CredentialsError, "wrong e-mail"),
        (404, page("nothing"), ConfigurationError, "identity_url"),
        (423, oauth("Locked"), ServiceUnavailableError, "not available now"),
        (415, oauth("HTTP 415"), RefusedRequestError, "refused the request"),
    ],
)
def test_a_login_is_judged_by_oauths_own_code(http, url, status, body, kind, words):
    says(status, body)
    error = logged_in(http, url)
    assert type(error) is kind
    assert words in str(error)

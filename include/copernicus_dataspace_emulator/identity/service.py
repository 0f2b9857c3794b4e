"""The token service: discovery, keys, grants, revocation and logout of one realm.

Other endpoints of the discovery document are not for the public client, and refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from copernicus_dataspace_emulator.http import gateway
from copernicus_dataspace_emulator.http.messages import Request, Response, json_response
from copernicus_dataspace_emulator.identity.accounts import GrantRefusedError
from copernicus_dataspace_emulator.identity.tokens import CLIENT_ID, Tokens, key_set

REALM: Final = "/auth/realms/CDSE"
_OIDC: Final = f"{REALM}/protocol/openid-connect"
_FORM: Final = "application/x-www-form-urlencoded"

_ENDPOINTS: Final = {
    "token_endpoint": f"{_OIDC}/token",
    "userinfo_endpoint": f"{_OIDC}/userinfo",
    "end_session_endpoint": f"{_OIDC}/logout",
    "jwks_uri": f"{_OIDC}/certs",
    "revocation_endpoint": f"{_OIDC}/revoke",
}
_CLOSED: Final = {
    "authorization_endpoint": f"{_OIDC}/auth",
    "introspection_endpoint": f"{_OIDC}/token/introspect",
    "registration_endpoint": f"{REALM}/clients-registrations/openid-connect",
    "device_authorization_endpoint": f"{_OIDC}/auth/device",
    "backchannel_authentication_endpoint": f"{_OIDC}/ext/ciba/auth",
    "pushed_authorization_request_endpoint": f"{_OIDC}/ext/par/request",
}
_GRANTS: Final = ("refresh_token", "password", "client_credentials")
_CLOSED_GRANTS: Final = (
    *("authorization_code", "implicit", "urn:ietf:params:oauth:grant-type:device_code"),
    "urn:openid:params:grant-type:ciba",
    "urn:ietf:params:oauth:grant-type:token-exchange",
)
_BAD_CLIENT: Final = (401, "invalid_client", "Invalid client or Invalid client credentials")
_SIGNATURES: Final = ["RS256"]


def _refused(status: int, error: str, description: str) -> Response:
    return json_response(status, {"error": error, "error_description": description})


@dataclass(frozen=True, slots=True)
class Identity:
    """The service at ``/auth/realms/CDSE``; ``public_url`` returns the realm's URL."""

    tokens: Tokens
    public_url: Callable[[], str]
    name: str = "identity"

    def answer(self, request: Request) -> Response:
        """Route a request."""
        route = {
            ("GET", f"{REALM}/.well-known/openid-configuration"): self._discovery,
            ("GET", f"{_OIDC}/certs"): _certificates,
            ("POST", f"{_OIDC}/token"): self._token,
            ("POST", f"{_OIDC}/logout"): self._logout,
            ("POST", f"{_OIDC}/revoke"): self._revoke,
            ("GET", f"{_OIDC}/userinfo"): self._userinfo,
            ("POST", f"{_OIDC}/userinfo"): self._userinfo,
        }
        handler = route.get((request.method, request.path))
        if handler is not None:
            return handler(request)
        if request.path in _CLOSED.values():
            return _refused(403, "access_denied", "Client is not allowed to do this")
        known = any(path == request.path for _, path in route)
        return json_response(405 if known else 404, {"error": f"HTTP {405 if known else 404}"})

    def refusal(self, status: int) -> Response:
        """Return an OAuth error, or the gateway's page."""
        if status in gateway.AWAY:
            return gateway.page(status)
        text = {
            400: ("invalid_grant", "Token is not active"),
            401: ("invalid_grant", "Invalid user credentials"),
        }
        return _refused(status, *text.get(status, ("unknown_error", "Service is overloaded")))

    def _discovery(self, _request: Request) -> Response:
        realm = self.public_url()
        document: dict[str, Any] = {
            name: f"{realm}{path.removeprefix(REALM)}"
            for name, path in {**_ENDPOINTS, **_CLOSED}.items()
        }
        document |= {
            "issuer": realm,
            "grant_types_supported": [*_GRANTS, *_CLOSED_GRANTS],
            "response_types_supported": ["code", "none", "id_token", "token"],
            "subject_types_supported": ["public", "pairwise"],
            "id_token_signing_alg_values_supported": _SIGNATURES,
            "scopes_supported": ["openid", "AUDIENCE_PUBLIC", "email", "profile", "user-context"],
        }
        return json_response(200, document)

    def _token(self, request: Request) -> Response:
        form = _form(request)
        if form is None:
            return _refused(415, "HTTP 415 Unsupported Media Type", f"Send {_FORM}")
        try:
            return json_response(
                200, self._grant(form, request.flaw), {"Cache-Control": "no-store"}
            )
        except GrantRefusedError as refused:
            status, error, description = refused.args
            return _refused(status, error, description)

    def _grant(self, form: dict[str, str], flaw: str) -> dict[str, Any]:
        grant = form.get("grant_type", "")
        if not grant:
            raise GrantRefusedError(400, "invalid_request", "Missing form parameter: grant_type")
        if grant == "client_credentials":
            return self._client_grant(form)
        if form.get("client_id") != CLIENT_ID:
            raise GrantRefusedError(*_BAD_CLIENT)
        if grant == "password":
            return self.tokens.by_password(form, flaw)
        if grant == "refresh_token":
            return self.tokens.by_refresh(form, flaw)
        if grant in _CLOSED_GRANTS:
            raise GrantRefusedError(400, "unauthorized_client", "Client not enabled for this grant")
        raise GrantRefusedError(400, "unsupported_grant_type", "Unsupported grant_type")

    def _client_grant(self, form: dict[str, str]) -> dict[str, Any]:
        if not form.get("client_id", "").startswith("sh-") or not form.get("client_secret"):
            raise GrantRefusedError(
                401, "unauthorized_client", "Invalid client or Invalid client credentials"
            )
        return self.tokens.by_client()

    def _logout(self, request: Request) -> Response:
        form = _form(request) or {}
        if form.get("client_id") != CLIENT_ID:
            return _refused(*_BAD_CLIENT)
        if not self.tokens.end(form.get("refresh_token", "")):
            return _refused(400, "invalid_grant", "Invalid refresh token")
        return Response(204)

    def _revoke(self, request: Request) -> Response:
        form = _form(request) or {}
        if form.get("client_id") != CLIENT_ID:
            return _refused(*_BAD_CLIENT)
        if not form.get("token"):
            return _refused(400, "invalid_request", "Token not provided")
        self.tokens.revoke(form["token"])
        return Response(200)

    def _userinfo(self, request: Request) -> Response:
        told = self.tokens.told_of(request.token)
        if told is None:
            return _refused(401, "invalid_token", "Token verification failed")
        return json_response(200, told)


def _form(request: Request) -> dict[str, str] | None:
    """Return the fields of a form body; None for another content type."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _FORM:
        return None
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


def _certificates(_request: Request) -> Response:
    return json_response(200, key_set())

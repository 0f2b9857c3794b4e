"""Sessions and signed tokens, as in Keycloak.

Expiry uses the real clock, because clients compare with theirs.
"""

import base64
import math
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from copernicus_dataspace_emulator.identity.accounts import Accounts, GrantRefusedError

AUDIENCE: Final = "CLOUDFERRO_PUBLIC"
CLIENT_ID: Final = "cdse-public"
_MOST_SESSIONS: Final = 100
_KEY_ID: Final = "emulator"
_CLIENT_TOKEN_LIFETIME_S: Final = 1800
_USED_TWICE: Final = "Maximum allowed refresh token reuse exceeded"

Verdict = Literal["valid", "expired", "unknown", "wrong audience"]


_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
"""Signs the tokens of this process."""


@dataclass(slots=True)
class _Session:
    account: str
    refresh_expires: float = 0.0
    refresh_token: str = ""


def _base64(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def key_set() -> dict[str, Any]:
    """Return the public key as a JSON Web Key Set."""
    numbers = _KEY.public_key().public_numbers()
    modulus, exponent = _base64(numbers.n), _base64(numbers.e)
    key = {"kid": _KEY_ID, "kty": "RSA", "alg": "RS256", "use": "sig", "n": modulus, "e": exponent}
    return {"keys": [key]}


@dataclass(slots=True)
class Tokens:
    """Grants and validates tokens.

    Lifetimes are in seconds. A session ends with its refresh token. An account has a maximum number
    of sessions; the response beyond that is a guess. A refresh token is accepted once, unless
    ``refresh_once`` is off.
    """

    accounts: Accounts
    token_lifetime_s: float
    refresh_lifetime_s: float
    refresh_once: bool
    issuer: str = ""
    grants: Counter[str] = field(default_factory=Counter)
    _sessions: dict[str, _Session] = field(default_factory=dict)
    _expiry: dict[str, float] = field(default_factory=dict)
    _access: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def by_password(self, form: dict[str, str], flaw: str) -> dict[str, Any]:
        """Grant a token for user name, password and, if required, a one-time code."""
        account, session_id = self.accounts.enter(form), str(uuid.uuid4())
        with self._lock:
            alive = sum(
                session.account == account and session.refresh_expires > time.time()
                for session in self._sessions.values()
            )
            if alive >= _MOST_SESSIONS:
                raise GrantRefusedError(400, "invalid_grant", "User session limit exceeded")
            session = self._sessions[session_id] = _Session(account)
            return self._granted("password", session_id, session, flaw)

    def by_refresh(self, form: dict[str, str], flaw: str) -> dict[str, Any]:
        """Grant a token for a refresh token of an active session."""
        claims = self._claims(form.get("refresh_token", ""))
        if claims is None or claims.get("typ") != "Refresh":
            raise GrantRefusedError(400, "invalid_grant", "Invalid refresh token")
        with self._lock:
            session = self._sessions.get(claims["sid"])
            if session is None:
                raise GrantRefusedError(400, "invalid_grant", "Session not active")
            if self._spent(claims) or session.refresh_expires <= time.time():
                raise GrantRefusedError(400, "invalid_grant", "Token is not active")
            if self.refresh_once and form["refresh_token"] != session.refresh_token:
                raise GrantRefusedError(400, "invalid_grant", _USED_TWICE)
            return self._granted("refresh_token", claims["sid"], session, flaw)

    def by_client(self) -> dict[str, Any]:
        """Grant a token for an OAuth client, which is not valid for downloads."""
        self.grants["client_credentials"] += 1
        claims = {"sub": "client", "typ": "Bearer", "scope": "email profile user-context"}
        return {
            "access_token": self._sign(claims, _CLIENT_TOKEN_LIFETIME_S),
            "expires_in": _CLIENT_TOKEN_LIFETIME_S,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": "email profile user-context",
        }

    def end(self, refresh_token: str) -> bool:
        """End the session of a refresh token; False for a foreign token."""
        claims = self._claims(refresh_token)
        if claims is None or claims.get("typ") != "Refresh":
            return False
        self._sessions.pop(claims["sid"], None)
        return True

    def revoke(self, token: str) -> None:
        """Revoke a token: a refresh token with its session; foreign tokens are ignored."""
        claims = self._claims(token)
        if claims is None:
            return
        self._expiry[claims["jti"]] = 0.0
        if claims["typ"] == "Refresh":
            self._sessions.pop(claims["sid"], None)

    def expire_tokens(self) -> None:
        """Expire all access tokens."""
        for token_id in list(self._access):
            self._expiry[token_id] = 0.0

    def end_sessions(self) -> None:
        """Expire all refresh tokens; access tokens remain valid."""
        with self._lock:
            for session in self._sessions.values():
                session.refresh_expires = 0.0

    def expiry(self, token: str) -> float:
        """Return when a token expires, in seconds since the epoch."""
        claims = self._claims(token) or {}
        return self._expiry.get(claims.get("jti", ""), 0.0)

    def told_of(self, token: str) -> dict[str, Any] | None:
        """Return the account's user info for a valid access token."""
        claims = self._claims(token)
        if claims is None or claims.get("typ") != "Bearer" or self._spent(claims):
            return None
        return {name: claims[name] for name in ("sub", "preferred_username") if name in claims}

    def judge(self, token: str, flaw: str) -> tuple[Verdict, str]:
        """Tell whether a token is valid for downloads, and for which account."""
        claims = self._claims(token)
        if claims is None or claims.get("typ") != "Bearer":
            return "unknown", ""
        if self._spent(claims) or flaw == "expired_token":
            return "expired", ""
        if AUDIENCE not in claims.get("aud", []) or flaw == "wrong_audience":
            return "wrong audience", ""
        return "valid", claims["preferred_username"]

    def _granted(self, grant: str, session_id: str, session: _Session, flaw: str) -> dict[str, Any]:
        self.grants[grant] += 1
        session.refresh_expires = time.time() + self.refresh_lifetime_s
        about = {
            "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, session.account)),
            "azp": CLIENT_ID,
            "sid": session_id,
            "session_state": session_id,
        }
        access = about | {
            "typ": "Bearer",
            "aud": ["account"] if flaw == "wrong_audience" else [AUDIENCE, "account"],
            "preferred_username": session.account,
            "realm_access": {"roles": ["offline_access", "copernicus-general"]},
        }
        session.refresh_token = self._sign(about | {"typ": "Refresh"}, self.refresh_lifetime_s)
        access_token = self._sign(access, -1 if flaw == "expired_token" else self.token_lifetime_s)
        return {
            "access_token": access_token,
            "expires_in": int(self.token_lifetime_s),
            "refresh_expires_in": int(self.refresh_lifetime_s),
            "refresh_token": session.refresh_token,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "session_state": session_id,
            "scope": "AUDIENCE_PUBLIC openid email profile user-context",
        }

    def _sign(self, claims: dict[str, Any], lifetime_s: float) -> str:
        now, token_id = time.time(), str(uuid.uuid4())
        self._expiry[token_id] = now + lifetime_s
        if claims["typ"] == "Bearer":
            self._access.add(token_id)
        expires = math.ceil(now + lifetime_s)
        dates = {"iat": int(now), "exp": expires, "jti": token_id, "iss": self.issuer}
        return jwt.encode(claims | dates, _KEY, algorithm="RS256", headers={"kid": _KEY_ID})

    def _spent(self, claims: dict[str, Any]) -> bool:
        return self._expiry.get(claims["jti"], 0.0) <= time.time()

    def _claims(self, token: str) -> dict[str, Any] | None:
        try:
            return jwt.decode(
                token,
                _KEY.public_key(),
                ["RS256"],
                options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return None

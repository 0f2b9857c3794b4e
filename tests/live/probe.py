"""One question put to the service and to the emulator alike, and what comes back."""

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import requests
from urllib3 import HTTPResponse

from copernicus_dataspace.http.status_errors import error_of
from tests.live.facts import Facts, answer_facts
from tests.live.visit import NoAnswerError, Visit

SEEN: Final = "the client sees"
SUCCESS: Final = ("success",)
REFUSED_QUESTION: Final = ("QueryError",)
REFUSED_TOKEN: Final = ("TokenRefusedError", "CredentialsError")
GONE: Final = ("ProductUnavailableError",)
TRANSFER: Final = ("success", "RateLimitedError")

_REDIRECTS: Final = range(300, 400)

Answered = requests.Response | tuple[requests.Response, Facts]
"""An answer, and what is special about it."""


@dataclass(frozen=True)
class Probe:
    """One request.

    Attributes:
        name: What is asked, for people.
        question: Sends it.
        accepted: What the client may take the answer for; empty where it never asks this.
        service: The part of the service that must be there for it.
    """

    name: str
    question: Callable[[Visit], Answered]
    accepted: tuple[str, ...]
    service: str

    def observe(self, visit: Visit) -> Facts:
        """Return what the answer was, also where there was none."""
        try:
            answered = self.question(visit)
        except NoAnswerError as error:
            return {"status": f"no answer ({error})", SEEN: "no answer"}
        response, special = answered if isinstance(answered, tuple) else (answered, {})
        seen = _seen(visit, response)
        return {**answer_facts(response, visit.clean), **special, SEEN: seen}


class Probes(list[Probe]):
    """The questions to one service, in the order they are to be put."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def ask(
        self, name: str, accepted: tuple[str, ...] = ()
    ) -> Callable[[Callable[[Visit], Answered]], Callable[[Visit], Answered]]:
        """Add the decorated function as a probe."""

        def register(question: Callable[[Visit], Answered]) -> Callable[[Visit], Answered]:
            self.append(Probe(name, question, accepted, self._service))
            return question

        return register


def _seen(visit: Visit, response: requests.Response) -> str:
    """Return what the client takes an answer for."""
    if response.ok and response.status_code not in _REDIRECTS:
        return "success"
    if response.status_code in _REDIRECTS:
        own = visit.endpoints.owns(response.headers.get("Location", ""))
        return "a redirect within the service" if own else "a redirect elsewhere"
    return type(error_of(_unread(response), "probe", within_s=5.0)).__name__


def _unread(response: requests.Response) -> requests.Response:
    """Return the answer as the client meets it, before its body is read."""
    answer = copy.copy(response)
    answer.raw = HTTPResponse(io.BytesIO(response.content), preload_content=False)
    return answer

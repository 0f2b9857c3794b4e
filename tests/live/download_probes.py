"""Questions to the download service: listings, files, refusals, parts of a file."""

from typing import Final

import requests

from tests.live.catalogue_probes import NO_AGENT
from tests.live.facts import Facts
from tests.live.probe import GONE, REFUSED_QUESTION, REFUSED_TOKEN, TRANSFER, Probes
from tests.live.visit import UNKNOWN_ID, Visit

PROBES = Probes("download")

FIRST, LAST = 10, 19
"""The bytes that the ranged request asks for."""

_HEAD_TIMEOUT_S: Final = (5.0, 10.0)


@PROBES.ask("listing of a folder")
def listing(visit: Visit) -> requests.Response:
    return visit.listing


@PROBES.ask("listing of a folder, no User-Agent")
def no_agent(visit: Visit) -> requests.Response:
    return visit.get(visit.listing_url, headers=NO_AGENT)


@PROBES.ask("file", TRANSFER)
def small_file(visit: Visit) -> tuple[requests.Response, Facts]:
    return visit.file, _length_facts(visit.file)


@PROBES.ask("file, no token", REFUSED_TOKEN)
def no_token(visit: Visit) -> requests.Response:
    return visit.get(visit.file_url)


@PROBES.ask("file, broken token", REFUSED_TOKEN)
def broken_token(visit: Visit) -> requests.Response:
    return visit.get(visit.file_url, token="broken")


@PROBES.ask("file, name in quotes", REFUSED_QUESTION)
def quoted_name(visit: Visit) -> requests.Response:
    url = visit.node_url(f"Nodes('{visit.product.name}')")
    return visit.get(url, token=visit.access_token)


@PROBES.ask("file, unknown name", GONE)
def unknown_name(visit: Visit) -> requests.Response:
    url = visit.node_url(f"Nodes({visit.product.name})/Nodes(no-such-file.xml)")
    return visit.get(url, token=visit.access_token)


@PROBES.ask("product, malformed id", REFUSED_QUESTION)
def malformed_id(visit: Visit) -> requests.Response:
    url = visit.url("download", "Products(no-such-id)/$value")
    return visit.get(url, token=visit.access_token)


@PROBES.ask("product, unknown id", GONE)
def unknown_product(visit: Visit) -> requests.Response:
    url = visit.url("download", f"Products({UNKNOWN_ID})/$value")
    return visit.get(url, token=visit.access_token)


@PROBES.ask("file, HEAD")
def head(visit: Visit) -> requests.Response:
    access = visit.access_token
    return visit.send("HEAD", visit.file_url, token=access, timeout=_HEAD_TIMEOUT_S)


@PROBES.ask("file, Range")
def ranged(visit: Visit) -> tuple[requests.Response, Facts]:
    asked, whole = {"Range": f"bytes={FIRST}-{LAST}"}, visit.file.content
    answer = visit.get(visit.file_url, token=visit.access_token, headers=asked)
    return answer, range_facts(answer, whole)


def _length_facts(answer: requests.Response) -> Facts:
    announced = answer.headers.get("Content-Length")
    if not answer.ok or announced is None:
        return {}
    equal = int(announced) == len(answer.content)
    return {"body": "as long as announced" if equal else "not as long as announced"}


def range_facts(answer: requests.Response, whole: bytes) -> Facts:
    if not answer.ok:
        return {}
    kinds = {whole: "the whole file", whole[FIRST : LAST + 1]: "the part asked for"}
    facts: Facts = {"body": kinds.get(answer.content, "something else")}
    if "Content-Range" in answer.headers:
        size = answer.headers["Content-Range"].rpartition("/")[2]
        right = answer.headers["Content-Range"] == f"bytes {FIRST}-{LAST}/{len(whole)}"
        facts["Content-Range"] = "as asked for" if right else f"wrong, of {size}"
    return facts

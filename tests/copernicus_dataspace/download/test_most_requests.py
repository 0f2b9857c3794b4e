"""The most requests a file takes, whatever fails, and in whatever order."""

import random

import pytest

from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.download.s3_signing import S3Keys
from copernicus_dataspace.errors import DataSpaceError
from copernicus_dataspace.models.manifest import parse_manifest
from copernicus_dataspace.service import Service
from copernicus_dataspace_emulator import Emulator, Fault, make_product
from tests.copernicus_dataspace.conftest import QUICK, account_of, endpoints_of

MOST = {"https": 36, "auto": 37}
TOKEN = {"kind": "expired_token"}
LIMITED = {"status": 429}
AWAY = {"status": 500}
RESET = {"kind": "reset"}
CORRUPT = {"kind": "flipped_bit"}
BROKEN = {"kind": "reset_body", "at": 0.02}
SHORT = {"kind": "short_body", "at": 0.0}
EVERY = (LIMITED, AWAY, RESET, CORRUPT, BROKEN, SHORT)


class Asking:
    """A client that downloads a file of the only product."""

    def __init__(self, emulator, transport, folder):
        self.emulator, self.target = emulator, folder / "it"
        self.offered = emulator.add(make_product(scale=0.003))
        self.client = Service(
            endpoints_of(emulator),
            account_of(emulator),
            transport=transport,
            s3_keys=S3Keys(emulator.s3_access_key, emulator.s3_secret_key),
            sleep=lambda _: None,
            limits=QUICK,
        )

    def __call__(self, faults):
        """Return the services asked until the download failed, for each of which a fault waits."""
        for service in ("s3", "download"):
            for fault in faults:
                self.emulator.faults.add(Fault(service=service, match="B08_10m", **fault))
        (product,) = self.client.catalogue.search(Query(sensed=MISSION))
        listed = parse_manifest(self.offered.read("manifest.safe"))
        (file,) = (one for one in listed if one.path.endswith("_B08_10m.jp2"))
        with pytest.raises(DataSpaceError):
            self.client.downloads.file(product, file, self.target, lambda _: None, lambda: None)
        assert not self.target.exists()
        return [one.service for one in self.emulator.requests if "B08_10m" in one.path]


@pytest.fixture
def asking(tmp_path):
    opened = []

    def begin(transport):
        emulator = Emulator(ranges="honoured").__enter__()
        opened.append(emulator)
        made = Asking(emulator, transport, tmp_path)
        opened.append(made.client)
        return made

    yield begin
    for one in reversed(opened):
        one.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("fault", "most"),
    [(LIMITED, 10), (AWAY, 5), (RESET, 5), (CORRUPT, 3), (BROKEN, 24), (SHORT, 5)],
    ids=str,
)
@pytest.mark.parametrize("transport", MOST)
def test_a_service_that_always_fails_in_the_same_way(asking, fault, most, transport):
    sent = asking(transport)([{**fault, "times": None}])
    if transport == "https":
        assert len(sent) == most
    else:
        assert len(sent) <= most + 1


def test_the_limits_add_up(asking):
    ask = asking("https")
    faults = [TOKEN, *[LIMITED] * 9, *[AWAY] * 4, *[CORRUPT] * 2, *[BROKEN] * 19, AWAY]
    assert len(ask(faults)) == MOST["https"]
    assert ask.client.statistics.retries == MOST["https"] - 1


def test_a_second_transport_continues_with_the_same_attempts(asking):
    sent = asking("auto")([*[LIMITED] * 4, *[AWAY] * 3])
    assert sent == ["s3"] * (1 + 4 + 2) + ["download"] * (1 + 4 + 2)


@pytest.mark.parametrize("transport", MOST)
@pytest.mark.parametrize("seed", range(4))
def test_any_mixture_ends_within_the_limit(asking, seed, transport):
    chance = random.Random(seed)  # noqa: S311
    faults = [chance.choice(EVERY) for _ in range(MOST[transport] + 1)]
    assert len(asking(transport)(faults)) <= MOST[transport]

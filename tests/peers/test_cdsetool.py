"""CDSETool: its README's script and command line; its hosts stand in its source."""

import hashlib

import pytest

SCRIPT = """
import json, sys
from datetime import date
from cdsetool.credentials import Credentials
from cdsetool.download import download_features
from cdsetool.monitor import StatusMonitor
from cdsetool.query import query_features

folder, pattern = sys.argv[1:]
features = query_features("SENTINEL-2", {
    "contentDateStartGe": "2024-08-01",
    "contentDateStartLt": date(2024, 8, 2),
    "productType": "S2MSI2A",
    "cloudCover": "[0, 20]",
    "top": 1,
    "geometry": "POLYGON((34.4 40.6, 34.6 40.6, 34.6 40.7, 34.4 40.7, 34.4 40.6))",
})
names = [feature["Name"] for feature in features]
done = list(download_features(features, folder, {
    "concurrency": 4,
    "monitor": StatusMonitor(),
    "credentials": Credentials("user@example.org", "correct horse"),
    **({"filter_pattern": pattern} if pattern else {}),
}))
with open("result.json", "w") as file:
    json.dump({"names": sorted(names), "done": sorted(done)}, file)
"""
TERMS = (
    "contentDateStartGe=2024-08-01",
    "contentDateStartLe=2024-08-02",
    "productType=S2MSI2A",
    "cloudCoverLe=20",
    "name=_T36TX",
)


@pytest.fixture
def cdsetool(peer, hosts):
    client = peer("cdsetool")
    client.renamed("cdsetool", hosts)
    (client.home / "out").mkdir()
    return client


def test_cdsetool_takes_zips(cdsetool, offered):
    out = cdsetool.home / "out"
    done = cdsetool.script(SCRIPT, out, "")
    names = sorted(product.name for product in offered)
    assert done == {"names": names, "done": [f"{name}.zip" for name in names]}
    for product in offered:
        content = (out / f"{product.name}.zip").read_bytes()
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == product.md5


def test_cdsetool_takes_single_files(cdsetool, offered, arrived):
    out = cdsetool.home / "out"
    cdsetool.script(SCRIPT, out, "*SCL_20m.jp2")
    for product in offered:
        (scl,) = (path for path in product.files if path.endswith("_SCL_20m.jp2"))
        assert scl in arrived(out / product.name, product)


def test_the_command_line_of_cdsetool(cdsetool, emulator, offered):
    terms = [part for term in TERMS for part in ("--search-term", term)]
    found = cdsetool.run("python", "-m", "cdsetool.cli", "query", "search", "SENTINEL-2", *terms)
    assert sorted(found.split()) == sorted(product.name for product in offered)
    token = f"{emulator.identity_url}/protocol/openid-connect/token"
    rules = f'machine {token} login user@example.org password "correct horse"\n'
    netrc = cdsetool.home / ".netrc"
    netrc.write_text(rules)
    netrc.chmod(0o600)
    out = cdsetool.home / "out"
    command = ("download", "SENTINEL-2", out, "--concurrency", "4", *terms)
    assert "downloaded 2/2" in cdsetool.run("python", "-m", "cdsetool.cli", *command)
    assert {path.name for path in out.iterdir()} == {f"{one.name}.zip" for one in offered}

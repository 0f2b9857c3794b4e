"""Clients of other people, unmodified but for host names, find and fetch a product.

Each runs in a process of its own, because they keep state and settings in the home folder.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataspace_emulator import make_product

REAL_HOSTS = {
    "https://identity.dataspace.copernicus.eu": "identity_url",
    "https://catalogue.dataspace.copernicus.eu": "catalogue_url",
    "https://download.dataspace.copernicus.eu": "download_url",
}

CDSETOOL = """
import json, sys
from datetime import date
from cdsetool.credentials import Credentials
from cdsetool.download import download_features
from cdsetool.query import query_features

identity, out = sys.argv[1:]
found = query_features("SENTINEL-2", {
    "contentDateStartGe": date(2024, 8, 1), "contentDateStartLt": date(2024, 8, 2),
    "top": 1, "productType": "S2MSI2A", "cloudCoverLe": "20",
    "geometry": "POLYGON((34.4 40.6, 34.6 40.6, 34.6 40.7, 34.4 40.7, 34.4 40.6))"})
names = [feature["Name"] for feature in found]
credentials = Credentials("user@example.org", "correct horse",
                          f"{identity}/.well-known/openid-configuration")
options = {"credentials": credentials}
whole = list(download_features([found[0]], f"{out}/whole", dict(options)))
parts = list(download_features([found[0]], f"{out}/parts",
                               {**options, "filter_pattern": "*SCL_20m.jp2"}))
print(json.dumps({"names": names, "whole": whole, "parts": parts}))
"""

EODAG = """
import json, sys
from eodag import EODataAccessGateway

gateway = EODataAccessGateway(user_conf_file_path=sys.argv[1])
found = gateway.search(
    provider="cop_dataspace", collection="S2_MSI_L2A", start="2024-08-01", end="2024-08-02",
    geom="POLYGON((34.4 40.6, 34.6 40.6, 34.6 40.7, 34.4 40.7, 34.4 40.6))", count=True,
    **{"eo:cloud_cover": 20})
names = [one.properties["title"] for one in found]
print(json.dumps({"names": names, "path": gateway.download(found[0])}))
"""

EODAG_SETTINGS = """
cop_dataspace:
  priority: 9
  search:
    api_endpoint: {catalogue_url}/Products
    metadata_mapping:
      eodag:download_link: '{catalogue_url}/Products({{uid}})/$value'
  auth:
    oidc_config_url: {identity_url}/.well-known/openid-configuration
    matching_url: {catalogue_url}
    credentials: {{username: user@example.org, password: correct horse}}
  download: {{output_dir: {out}, extract: false}}
"""


def needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"{package} is not installed: pip install {package}")


@pytest.fixture
def products(emulator):
    clear = [emulator.add(make_product(tile=name, scale=0.001)) for name in ("36TXK", "36TXL")]
    emulator.add(make_product(content=False, cloud_cover=80.0, seed=1))
    emulator.add(make_product(content=False, level="L1C"))
    emulator.add(make_product(content=False, tile="33TVM"))
    return sorted(clear, key=lambda product: product.id)


def run(script, arguments, home, *paths):
    environment = {
        **os.environ,
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "EODAG_EXT_COLLECTIONS_CFG_URI": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=home,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def md5(path):
    return hashlib.md5(Path(path).read_bytes(), usedforsecurity=False).hexdigest()


@needs("cdsetool")
def test_cdsetool_searches_and_downloads(emulator, products, tmp_path):
    """Its host names stand in its source, so that a copy with others in their place is used."""
    source = Path(importlib.util.find_spec("cdsetool").origin).parent
    copy = shutil.copytree(source, tmp_path / "packages" / "cdsetool")
    for module in copy.glob("*.py"):
        text = module.read_text()
        for host, name in REAL_HOSTS.items():
            text = text.replace(host, "/".join(getattr(emulator, name).split("/")[:3]))
        module.write_text(text)
    out = tmp_path / "out"
    done = run(CDSETOOL, [emulator.identity_url, out], tmp_path, copy.parent)
    first = products[0]
    assert done["names"] == [product.name for product in products]
    assert done["whole"] == [f"{first.name}.zip"]
    assert md5(out / "whole" / f"{first.name}.zip") == first.md5
    (scl,) = (out / "parts").rglob("*SCL_20m.jp2")
    path = scl.relative_to(out / "parts" / first.name).as_posix()
    assert scl.read_bytes() == first.read(path)


@needs("eodag")
def test_eodag_searches_and_downloads(emulator, products, tmp_path):
    """Its host names stand in its settings."""
    out = tmp_path / "out"
    settings = tmp_path / "settings.yml"
    urls = {name: getattr(emulator, name) for name in REAL_HOSTS.values()}
    settings.write_text(EODAG_SETTINGS.format(out=out, **urls))
    done = run(EODAG, [settings], tmp_path)
    assert done["names"] == [product.name.removesuffix(".SAFE") for product in products]
    assert md5(done["path"]) == products[0].md5
    redirects = [one for one in emulator.requests if one.status == 301]
    assert len(redirects) == 1

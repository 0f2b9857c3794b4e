"""eodag: by its providers ``cop_dataspace`` and ``cop_dataspace_s3``, whose hosts are settings."""

SCRIPT = """
import json, sys
from eodag import EODataAccessGateway

provider, settings = sys.argv[1:]
dag = EODataAccessGateway(user_conf_file_path=settings)
results = dag.search(
    provider=provider, collection="S2_MSI_L2A", start="2024-08-01", end="2024-08-02",
    geom={"lonmin": 34.4, "latmin": 40.6, "lonmax": 34.6, "latmax": 40.7}, count=True,
    **{"eo:cloud_cover": 20, "sat:relative_orbit": 107})
names = [one.properties["title"] for one in results]
with open("result.json", "w") as file:
    json.dump({"names": sorted(names), "count": results.number_matched,
                  "first": names[0], "path": dag.download(results[0])}, file)
"""

ZIP = """
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
  download: {{output_dir: {home}/out}}
"""

S3 = """
cop_dataspace_s3:
  priority: 9
  search:
    api_endpoint: {catalogue_url}/Products
    s3_endpoint: {s3_endpoint_url}
  auth:
    s3_endpoint: {s3_endpoint_url}
    credentials:
      aws_access_key_id: {s3_access_key}
      aws_secret_access_key: {s3_secret_key}
  download: {{output_dir: {home}/out, s3_endpoint: {s3_endpoint_url}}}
"""


def searched(eodag, emulator, provider, settings):
    file = eodag.home / "settings.yml"
    facts = emulator.connection(**emulator.s3_keys)["extra"]
    file.write_text(settings.format(home=eodag.home, **facts))
    return eodag.script(SCRIPT, provider, file, EODAG_EXT_COLLECTIONS_CFG_URI="")


def first(done, offered):
    """The product that was downloaded, once the right ones were found."""
    by_name = {product.name.removesuffix(".SAFE"): product for product in offered}
    assert done["names"] == sorted(by_name)
    assert done["count"] == len(offered)
    return by_name[done["first"]]


def test_eodag_takes_a_zip(peer, emulator, offered, arrived):
    done = searched(peer("eodag"), emulator, "cop_dataspace", ZIP)
    product = first(done, offered)
    (manifest,) = (peer("eodag").home / "out").rglob("manifest.safe")
    assert arrived(manifest.parent, product) == set(product.files)
    assert len([one for one in emulator.requests if one.status == 301]) == 1


def test_eodag_takes_the_objects_of_a_bucket(peer, emulator, offered, arrived):
    """It lists in version 1, and signs for the region us-east-1.

    It takes what it has a name of its own for: of files of one name in two folders only one.
    """
    done = searched(peer("eodag"), emulator, "cop_dataspace_s3", S3)
    product = first(done, offered)
    (manifest,) = (peer("eodag").home / "out").rglob("manifest.safe")
    images = {path for path in product.files if path.endswith(".jp2")}
    assert images | {"manifest.safe"} <= arrived(manifest.parent, product)

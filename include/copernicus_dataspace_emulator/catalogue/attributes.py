"""Collections, fields and attributes of the catalogue, and their types."""

from typing import Final

COLLECTIONS: Final = frozenset(
    {
        *("SENTINEL-1", "SENTINEL-2", "SENTINEL-3", "SENTINEL-5P", "SENTINEL-6"),
        *("SENTINEL-1-RTC", "GLOBAL-MOSAICS", "LANDSAT-8-ESA", "COP-DEM", "CCM"),
    }
)
OFFERED: Final = "SENTINEL-2"

ATTRIBUTES: Final = {
    "origin": "String",
    "tileId": "String",
    "cloudCover": "Double",
    "datastripId": "String",
    "orbitNumber": "Integer",
    "sourceProduct": "String",
    "processingDate": "DateTimeOffset",
    "productGroupId": "String",
    "operationalMode": "String",
    "processingLevel": "String",
    "processorVersion": "String",
    "granuleIdentifier": "String",
    "platformShortName": "String",
    "instrumentShortName": "String",
    "relativeOrbitNumber": "Integer",
    "sourceProductOriginDate": "String",
    "platformSerialIdentifier": "String",
    "productType": "String",
    "beginningDateTime": "DateTimeOffset",
    "endingDateTime": "DateTimeOffset",
}
_OF_SENTINEL_1: Final = {
    "origin": "String",
    "processingDate": "DateTimeOffset",
    "processingCenter": "String",
    "platformShortName": "String",
    "productGeneration": "DateTimeOffset",
    "instrumentShortName": "String",
    "instrumentConfigurationID": "Integer",
    "platformSerialIdentifier": "String",
    "productType": "String",
    "beginningDateTime": "DateTimeOffset",
    "endingDateTime": "DateTimeOffset",
}
_OF_ALL: Final = ("origin", "productType", "beginningDateTime", "endingDateTime")


def attributes_of(collection: str) -> dict[str, str] | None:
    """Return the known attributes of a collection by name; None for an unknown collection."""
    if collection not in COLLECTIONS:
        return None
    known = {OFFERED: ATTRIBUTES, "SENTINEL-1": _OF_SENTINEL_1}
    return known.get(collection, {name: ATTRIBUTES[name] for name in _OF_ALL})


DATES: Final = {
    "Products": (
        *("PublicationDate", "ModificationDate", "OriginDate"),
        *("ContentDate/Start", "ContentDate/End"),
    ),
    "DeletedProducts": ("DeletionDate", "ContentDate/Start", "ContentDate/End"),
}
TEXTS: Final = {"Products": ("Name",), "DeletedProducts": ("Name", "DeletionCause")}
SELECTABLE: Final = (
    *("Id", "Name", "ContentType", "ContentLength", "OriginDate", "PublicationDate"),
    *("ModificationDate", "Online", "EvictionDate", "S3Path", "Checksum", "ContentDate"),
    *("Footprint", "Geofootprint", "*"),
)
ORDERABLE: Final = {
    "Products": ("ContentDate/Start", "ContentDate/End", "PublicationDate", "ModificationDate"),
    "DeletedProducts": ("ContentDate/Start", "ContentDate/End", "DeletionDate"),
}
EXPANDABLE: Final = {
    "Products": ("Attributes", "Assets", "Locations"),
    "DeletedProducts": ("Attributes",),
}

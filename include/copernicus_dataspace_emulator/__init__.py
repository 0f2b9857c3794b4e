"""A local emulator of the Copernicus Data Space Ecosystem, for rehearsal and tests.

Identity, catalogue, download, STAC and S3, each on its own port, as strict as the service. Shares
no code with the library it tests.

Undocumented behaviour is emulated strictly, so that a careless client fails here rather than there:

- a refresh token, or a one-time code, a second time: refused
- thirty wrong logins in a row: locked for a minute, with the error of a wrong password
- a row without Online: found neither by ``Online eq true`` nor by ``Online eq false``
- more than a hundred sessions: 400 ``invalid_grant``
- a foreign access token: 401 DAT-ZIP-604
- a request line of more than 8 KiB: 414
- WKT other than POINT and POLYGON, a third coordinate, degrees outside the world: 400
- a date without a time, an attribute compared as a wrong type: 400
- a quoted id at the catalogue: 422
- products offline, listed only, or removed; a folder's ``$value``: 404 DAT-ZIP-915
- a last page that is exactly full has no next link
- a STAC page of more than 1000, a date without a time zone: 400
- a STAC filter on a property that no item has: no results
- a STAC bbox across the antimeridian: no results
- a footprint across the antimeridian is listed unchanged, and found from either side
- S3 in a region other than ``default``: 400; no free connection, too many requests: 503 SlowDown

The listed BLAKE3 digests are dummies; sizes and MD5 are those of the zip.
"""

from copernicus_dataspace_emulator.emulator import Emulator
from copernicus_dataspace_emulator.faults.kinds import Fault
from copernicus_dataspace_emulator.faults.script import Faults
from copernicus_dataspace_emulator.http.messages import Record
from copernicus_dataspace_emulator.identity.accounts import User
from copernicus_dataspace_emulator.products.content import Member
from copernicus_dataspace_emulator.products.product import Product
from copernicus_dataspace_emulator.products.recipe import Recipe, make_product

__all__ = [
    "Emulator",
    "Fault",
    "Faults",
    "Member",
    "Product",
    "Recipe",
    "Record",
    "User",
    "make_product",
]

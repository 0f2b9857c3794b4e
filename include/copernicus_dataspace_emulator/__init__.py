"""A local stand-in of the Copernicus Data Space Ecosystem, for rehearsal and tests.

Identity, catalogue, download, STAC and S3, each on a port of its own, as strict as the
service is.
Shares no code with the client it is there to test.

What nobody has recorded is answered so that a careless client fails here rather than there:

- a refresh token, or a one-time code, a second time: refused
- thirty wrong logins in a row: locked for a minute, in the words of a wrong password
- a row without Online: found neither by ``Online eq true`` nor by ``Online eq false``
- more than a hundred sessions: 400 ``invalid_grant``
- an access token that is none of ours: 401 DAT-ZIP-604
- a request line of more than 8 KiB: 414
- WKT other than POINT and POLYGON, a third coordinate, degrees outside the world: 400
- a date without a time, an attribute compared as another type than its own: 400
- a quoted id at the catalogue: 422
- products offline, listed only, or removed; a folder's ``$value``: 404 DAT-ZIP-915
- a last page that is exactly full announces no next page
- a STAC page of more than 1000, a date without zone: 400
- a filter of STAC on a property that no item has: nothing is found
- a STAC box across the antimeridian finds nothing
- a footprint across the antimeridian is listed as it was given, and found from either side
- S3 in another region than ``default``: 400; no free connection, too many requests: 503 SlowDown

The listed BLAKE3 digests are there for their shape; sizes and MD5 are those of the zip.
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

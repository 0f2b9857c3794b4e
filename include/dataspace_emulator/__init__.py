"""A local stand-in of the Copernicus Data Space Ecosystem, for rehearsal and tests.

Identity, catalogue and download, each on a port of its own, as strict as the service is.
Shares no code with the client it is there to test.
"""

from dataspace_emulator.content import Member
from dataspace_emulator.emulator import Emulator
from dataspace_emulator.faults import Fault, Faults
from dataspace_emulator.product import Product
from dataspace_emulator.recipe import Recipe, make_product
from dataspace_emulator.tokens import User
from dataspace_emulator.wire import Record

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

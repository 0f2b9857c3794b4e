"""All questions put to the service and to the emulator alike, and what the client needs of them.

Each probe sends its requests and returns what it saw; none provokes a lock or a load.
"""

from typing import Final

from tests.live import (
    catalogue_probes,
    download_probes,
    identity_probes,
    s3_probes,
    stac_probes,
)

PROBES: Final = (
    *identity_probes.FIRST,
    *catalogue_probes.PROBES,
    *download_probes.PROBES,
    *stac_probes.PROBES,
    *s3_probes.PROBES,
    *identity_probes.LAST,
)
"""In the order they are to be run."""

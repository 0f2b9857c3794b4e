"""Files on a disk or in object storage: layout, leases, free space, and failures by their cause."""

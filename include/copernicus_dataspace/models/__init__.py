"""What a Sentinel-2 product is: its name, files, bands, checksums and sensing time."""

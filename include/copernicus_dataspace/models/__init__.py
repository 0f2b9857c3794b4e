"""Sentinel-2 products: name, files, bands, checksums and sensing time."""

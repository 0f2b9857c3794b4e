"""STAC items of delivered products, and the static catalogue around them."""

"""Areas of interest and footprints: read, repaired, cut at the antimeridian, compared."""

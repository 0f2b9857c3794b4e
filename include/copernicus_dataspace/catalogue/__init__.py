"""The catalogue: OData queries and pages, the STAC API, versions of a product."""

"""The OData catalogue, its filters and subscriptions."""

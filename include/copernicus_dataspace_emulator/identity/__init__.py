"""The identity service (Keycloak)."""

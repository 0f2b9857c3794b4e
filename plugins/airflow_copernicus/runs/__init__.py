"""DAG runs and archives: days, output store, asset events and clean-up."""

"""What belongs to one DAG run or one archive: its days, its store, its events, its clean-up."""

"""Bodies of the batch work, shared by flows and command line: load, call the pure function, save. No Prefect in here."""

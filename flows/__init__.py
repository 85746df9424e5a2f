"""The scheduled half: one Prefect flow a file, each a thin shell around a job of the engine."""

"""The batch half: Prefect flows, one a file. Each loads, calls a job of `pipeline.jobs`, and says what it wrote.

`python -m flows --profile NAME` serves them. A run is started cheap and often, so these modules import nothing heavy
at the top; what a job needs is imported by the flow that runs it.
"""

"""``python -m pipeline.cli``: the same as ``spreadwatch``."""

from pipeline.cli import main

main()

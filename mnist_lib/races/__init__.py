"""The races of notebook 11: what starts, how it is timed, and the tables on disk.

No training loop lives here; the races have tables of their own and no records.
"""

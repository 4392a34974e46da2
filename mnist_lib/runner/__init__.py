"""The commands: notebooks by papermill, sweeps and searches on Dask, README and figures rebuilt.

Nothing here knows how a network is trained, and no other package imports it.
"""

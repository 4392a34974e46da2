"""The commands: execute notebooks with papermill, go on after a stop, rebuild README and figures.

Nothing here knows how a network is trained, and no other package imports it.
"""

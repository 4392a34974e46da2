"""The commands: notebooks by papermill, sweeps on Dask, searches by Optuna, tables and figures.

Nothing here knows how a network is trained, and no other package imports it.
"""

import sys

# jsonschema, which comes with papermill, compiles a grammar of web addresses when it is imported,
# for seconds; without this package, which it can do without, it leaves that out
sys.modules.setdefault("rfc3987_syntax", None)

"""The commands: notebooks by papermill, sweeps and searches on Dask, README and figures rebuilt.

Nothing here knows how a network is trained, and no other package imports it.
"""

import sys

# jsonschema, which comes with papermill, compiles a grammar of web addresses when it is imported,
# for a second; without this package, which it can do without, it leaves that out
sys.modules.setdefault("rfc3987_syntax", None)

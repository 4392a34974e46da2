"""Tables and generated regions of the README."""

import re

import pandas as pd


def as_markdown(table: pd.DataFrame) -> str:
    """A table, its index first, in Markdown."""
    table = table.reset_index()
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)]
    return "\n".join(lines)


def fill(text: str, region: str, content: str) -> str:
    """Replace what stands between <!-- region --> and <!-- /region -->; ValueError without them."""
    pattern = re.compile(f"(<!-- {region} -->\n).*?(<!-- /{region} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"there is no region <!-- {region} --> … <!-- /{region} --> to fill")
    return pattern.sub(lambda match: match[1] + content + "\n" + match[2], text)

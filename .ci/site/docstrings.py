"""Docstrings are plain text with aligned tables; here they become lists and preformatted text."""

import re
from collections.abc import Iterator
from itertools import groupby

from sphinx.util.rst import escape

ENTRY = re.compile(r"(\S+(?: \S+)*) {2,}(\S+(?: \S+)*)")  # a name, a gap, what it means
FURTHER = re.compile(r" +(\S+(?: \S+)*)")  # and a line that goes on with that


def as_rst(docstring: list[str]) -> list[str]:
    """Lines in reStructuredText: prose flows, lists become lists, drawings stay as they are."""
    written = []
    for is_aligned, block in groupby(docstring, lambda line: line[:1] == " " or "  " in line):
        lines = list(block)
        if not is_aligned:
            written += paragraphs(lines)
        elif ENTRY.fullmatch(lines[0]) and all(map(is_listed, lines)):
            written += definitions(lines)
        else:
            written += ["::", "", *(f"    {line}" for line in lines)]
        written.append("")
    return written


def is_listed(line: str) -> bool:
    return bool(ENTRY.fullmatch(line) or FURTHER.fullmatch(line))


def definitions(lines: list[str]) -> Iterator[str]:
    """Each name with what it means below it."""
    for line in lines:
        if entry := ENTRY.fullmatch(line):
            yield f"``{entry[1]}``"
        yield f"    {marked(entry[2] if entry else line.lstrip())}"


def paragraphs(lines: list[str]) -> Iterator[str]:
    """Prose, with a paragraph of its own for what is returned or raised."""
    for line in lines:
        if re.match("(returns|raises|yields) ", line):
            yield ""
        yield marked(line)


def marked(line: str) -> str:
    """The line as it is, but for `names`, which are code."""
    parts = line.split("`")
    return "".join(f"``{part}``" if odd % 2 else escape(part) for odd, part in enumerate(parts))

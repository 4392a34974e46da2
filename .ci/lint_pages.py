"""The form of notebooks and the words of all texts: python .ci/lint_pages.py FILE...

A notebook (.ipynb) is checked for both, Markdown and the docstrings of a module for their words.
"""

import ast
import json
import re
import sys
from pathlib import Path

HEADINGS = ("## Target", "## Result", "## Analysis")
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home|root|work|tmp|Users)/|\b[A-Z]:\\\\(?=\w)")
LONGEST_CELL, MOST_IMPORTS = 25, 8  # lines
NO_PROSE, AVOIDED = Path(__file__).with_name("words.txt").read_text(encoding="utf-8").split("\n\n")


def wording(text: str) -> list[str]:
    """Words to avoid, and sentences of more than thirty words."""
    return [f"reword {hit[0]!r}" for hit in re.finditer(AVOIDED, re.sub(NO_PROSE, "…", text))]


def faults(path: Path) -> list[str]:
    """All that is wrong with this file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        docstrings = "\n\n".join(re.findall(r'(?s)"""(.*?)"""', text))
        return wording(docstrings if path.suffix == ".py" else text)
    page = json.loads(text)
    cells = [(c, "".join(c["source"]), c["metadata"].get("tags", [])) for c in page["cells"]]
    text = "\n\n".join(source for cell, source, _ in cells if cell["cell_type"] == "markdown")
    found = [f"no {title}" for title in HEADINGS if title not in text.splitlines()]
    found += wording(text)
    imports = 0
    for cell, source, tags in cells:
        if cell["cell_type"] != "code":
            continue
        lines = source.count("\n") + 1
        if lines > LONGEST_CELL and "hide-input" not in tags:
            found.append(f"{lines} lines: {source[:60]!r}")
        if "bootstrap" not in tags and "exercise" not in tags:
            imports += imported(source)
        if MACHINE_PATH.search(json.dumps(cell["outputs"]).replace(r"\n", " ")):
            found.append(f"a path of this machine in the output of {source[:60]!r}")
    if imports > MOST_IMPORTS:
        found.append(f"{imports} lines of imports")
    return found


def imported(source: str) -> int:
    """How many lines import something."""
    plain = re.sub(r"(?m)^\s*[%!].*", "", source)  # IPython's own lines
    nodes = [n for n in ast.parse(plain).body if isinstance(n, ast.Import | ast.ImportFrom)]
    return sum(node.end_lineno - node.lineno + 1 for node in nodes)


if __name__ == "__main__":
    wrong = [f"{name}: {fault}" for name in sys.argv[1:] for fault in faults(Path(name))]
    sys.exit("\n".join(wrong) or None)

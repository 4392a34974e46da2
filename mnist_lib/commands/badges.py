"""Open-in-Colab badges, and the address from which Colab clones the library.

Both follow from `git remote`, so that a fork's badges open the fork. The rest of a file stays as it
is, byte for byte.
"""

import re
import subprocess
from pathlib import Path

from mnist_lib.engine.files import write_atomically

COLAB = "https://colab.research.google.com"
BRANCH = "main"
GITHUB = re.compile(r"(?:^|[/@])github\.com(?::\d+/|[:/])([\w.-]+)/([\w.-]+?)(?:\.git)?/?$")
BADGE = re.compile(r"(<!-- badge -->).*?(<!-- /badge -->)")
ADDRESS = re.compile(r'(REPOSITORY = \\").*?(\\")')  # with the quotes that JSON escapes


def stamp(project: Path) -> list[str]:
    """Write address and badges into notebooks and README; returns what was done, line by line."""
    slug = repository(project)
    done = [f"the repository is {slug} on GitHub" if slug else "no remote on GitHub: no badges"]
    notebooks = sorted((project / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    for path in notebooks:
        done.append(f"{path.name}: {stamp_file(path, slug, path.name)}")
    readme = project / "README.md"
    if readme.exists() and notebooks:
        done.append(f"{readme.name}: {stamp_file(readme, slug, notebooks[0].name)}")
    return done


def repository(project: Path) -> str:
    """'owner/name' of the remote `origin`, or '' if there is none on GitHub."""
    command = ["git", "remote", "get-url", "origin"]
    try:
        answer = subprocess.run(command, cwd=project, capture_output=True, text=True)
    except OSError:  # no git here
        return ""
    found = GITHUB.search(answer.stdout.strip())
    return "/".join(found.groups()) if found else ""


def stamp_file(path: Path, slug: str, notebook: str) -> str:
    """Write the notebook's badge and the address, or their absence; returns whether that is new."""
    page = f"{COLAB}/github/{slug}/blob/{BRANCH}/notebooks/{notebook}"
    # HTML, because Markdown beside a comment stays text; single quotes, because notebooks are JSON
    picture = f"<img alt='Open in Colab' src='{COLAB}/assets/colab-badge.svg'>"
    badge = f"<a href='{page}'>{picture}</a>" if slug else ""
    address = f"https://github.com/{slug}" if slug else ""
    before = path.read_bytes().decode()
    after = BADGE.sub(rf"\g<1>{badge}\g<2>", before)
    after = ADDRESS.sub(rf"\g<1>{address}\g<2>", after)
    if after == before:
        return "nothing to change"
    write_atomically(path, after)
    return "stamped"

"""Draw the pictures of the README and the guide by the very code that stands above them.

``make images`` runs the code of each page and saves the current figure where the page shows a
picture; ``python docs/make_images.py pipelines README`` runs two of them. Each file has a digest of
the code that drew it, and a test compares the two. Run it where that code or a display has changed,
and look at what it draws.
"""

import contextlib
import doctest
import hashlib
import os
import re
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
PICTURE = re.compile(r"^\.\. image:: \.\./images/(\w+)\.png$|^!\[[^]]*\]\(docs/images/(\w+)\.png\)$", re.M)
PAGES = [DOCS.parent / "README.md", *sorted((DOCS / "guide").glob("*.rst"))]


def steps(page):
    """Yield the code of a page, but what raises, and the names of its pictures, in their order."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".md":
        code, text = re.search(r"```python\n(.*?)```(.*)", text, re.DOTALL).groups()
        yield "code", code
        # Only the first picture is drawn by that code; the guide draws the others.
        yield "picture", next(name for name in PICTURE.search(text).groups() if name)
        return
    for part in doctest.DocTestParser().parse(text):
        if isinstance(part, doctest.Example):
            if part.exc_msg is None:
                yield "code", part.source
        else:
            yield from (("picture", found.group(1)) for found in PICTURE.finditer(part))


def pictures(page):
    """Return the pictures of a page, each with the digest of all code above it."""
    digest, found = hashlib.sha256(), {}
    for kind, text in steps(page):
        if kind == "code":
            digest.update(text.encode())
        else:
            found[text] = digest.hexdigest()
    return found


def draw(page):
    """Run the code of a page, and save its pictures."""
    import matplotlib.pyplot as plt

    digests, names = pictures(page), {"__name__": "__main__"}
    if not digests:
        return
    for kind, text in steps(page):
        if kind == "code":
            exec(compile(text, str(page), "exec"), names)
        else:
            path = DOCS / "images" / f"{text}.png"
            plt.gcf().savefig(path, dpi=100, metadata={"Source": digests[text]})
            plt.close("all")
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def main():
    """Draw the pictures of all pages, away from here since the code writes files."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for page in PAGES:
            if not sys.argv[1:] or page.stem in sys.argv[1:]:
                draw(page)


if __name__ == "__main__":
    main()

"""The README's tables: each lies between two comments and is written from a file of results."""

import csv
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def put(name, table, path=README):
    """Replace a table of the README."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    text = path.read_text(encoding="utf-8")
    before, after = text.split(begin)[0], text.split(end)[1]
    path.write_text(before + begin + table + end + after, encoding="utf-8")


def get(name, path=README):
    """Return a table of the README, as Markdown."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    return path.read_text(encoding="utf-8").split(begin)[1].split(end)[0]


def from_csv(path):
    """Return the table of a CSV file, as Markdown."""
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

"""Directives that show parts of Markdown files, so that each text and table is written once.

``.. markdown-table:: ../README.md benchmark`` takes the rows between the comments
``<!-- benchmark: begin -->`` and ``<!-- benchmark: end -->``; ``.. markdown-file:: ../CHANGELOG.md`` takes
a file of headings, paragraphs and lists. Paths are relative to the page.
"""

import re
from pathlib import Path

from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


def rows_between(text, name):
    """Return the cells of a Markdown table, its head first, without the line of dashes."""
    found = re.search(f"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", text, re.DOTALL)
    if not found:
        raise ValueError(f"there is no table between the comments '{name}: begin' and '{name}: end'")
    lines = [line.strip().removeprefix("|").removesuffix("|") for line in found.group(1).strip().splitlines()]
    return [
        [cell.strip() for cell in line.split("|")]
        for line in lines
        if not re.fullmatch(r"[\s|:]*-[\s|:-]*", line)
    ]


def as_rst(text):
    """Return text with reStructuredText's marks for code and links; those for emphasis are the same."""
    text = re.sub(r"`([^`]+)`", r"``\1``", text)
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text)


def with_underlined_headings(text):
    """Return text with headings as in reStructuredText, without that of the file."""
    lines = []
    for line in text.splitlines():
        level, _, title = line.partition(" ")
        if set(level) == {"#"}:
            lines += [title, "-~^"[len(level) - 2] * len(title)] if len(level) > 1 else []
        else:
            lines.append(line)
    return "\n".join(lines)


class MarkdownDirective(SphinxDirective):
    """What both directives share."""

    def read(self, name):
        """Return a file's text; a change in it makes Sphinx read the page again."""
        path = Path(self.env.doc2path(self.env.docname)).parent / name
        self.env.note_dependency(str(path.resolve()))
        return path.read_text(encoding="utf-8")


class MarkdownTable(MarkdownDirective):
    """Show a table of a Markdown file."""

    required_arguments = 2
    option_spec = {"widths": directives.unchanged}

    def run(self):
        """Parse the table as a list-table."""
        name, table = self.arguments
        head, *rows = rows_between(self.read(name), table)
        lines = [".. list-table::"]
        if any(head):
            lines.append("   :header-rows: 1")
            rows.insert(0, head)
        if "widths" in self.options:
            lines.append(f"   :widths: {self.options['widths']}")
        lines.append("")
        for row in rows:
            lines += [f"   {'  -' if i else '* -'} {as_rst(cell)}" for i, cell in enumerate(row)]
        return self.parse_text_to_nodes("\n".join(lines))


class MarkdownFile(MarkdownDirective):
    """Show a Markdown file."""

    required_arguments = 1

    def run(self):
        """Parse the file with its headings."""
        text = with_underlined_headings(as_rst(self.read(self.arguments[0])))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app):
    """Register the directives."""
    app.add_directive("markdown-table", MarkdownTable)
    app.add_directive("markdown-file", MarkdownFile)
    return {"parallel_read_safe": True}

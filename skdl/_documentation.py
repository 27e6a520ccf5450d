"""Where the documentation of a class is, for the link in the notebook's repr."""

from importlib import metadata


def address():
    """Return the address of the documentation that the installed package names, or None.

    It is ``Documentation`` under ``project.urls`` of ``pyproject.toml``.
    """
    try:
        urls = metadata.metadata("skdl").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # imported from a folder
        return None
    found = dict(url.split(", ", 1) for url in urls)
    return found.get("Documentation")


class DocumentationLinkMixin:
    """Gives scikit-learn the link to a class's page, where the package names an address."""

    @property
    def _doc_link_module(self):
        return "skdl" if address() else ""

    @property
    def _doc_link_template(self):
        return f"{address().rstrip('/')}/reference/generated/{{estimator_module}}.{{estimator_name}}.html"

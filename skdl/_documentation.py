"""Link from the notebook repr of an estimator to its page in the documentation."""

from importlib import metadata


def _address():
    """Return ``Documentation`` under ``project.urls`` of the installed package, or None."""
    try:
        urls = metadata.metadata("skdl").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # imported from a folder
        return None
    return dict(url.split(", ", 1) for url in urls).get("Documentation")


def link_module(estimator):
    """Return ``_doc_link_module`` of scikit-learn's estimators: "skdl", or "" without an address."""
    return "skdl" if _address() else ""


def link_template(estimator):
    """Return ``_doc_link_template`` of scikit-learn's estimators."""
    return f"{_address().rstrip('/')}/reference/generated/{{estimator_module}}.{{estimator_name}}.html"

"""How Sphinx builds the documentation; `make docs` runs it, and takes warnings as errors."""

import os
import re
import sys
import tomllib
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import gallery  # noqa: E402

import skdl  # noqa: E402

project = "skdl"
author = "The skdl developers"
copyright = "The skdl developers"
version = release = skdl.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "markdown",
]
root_doc = "index"
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "py:obj"
highlight_language = "python"
# numpydoc makes a citation of every entry under "References"; most are sources that the
# text need not point at.
suppress_warnings = ["ref.citation"]

# The oldest releases that skdl works with: |python|, |keras| and so on.
_project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
_floors = dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", each).groups() for each in _project["dependencies"])
_floors["python"] = _project["requires-python"].removeprefix(">=")
rst_epilog = "\n".join(f".. |{name}| replace:: {version}" for name, version in _floors.items())

html_theme = "pydata_sphinx_theme"
html_title = f"skdl {version}"
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["skdl.css"]
html_favicon = html_logo = "static/skdl.svg"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_theme_options = {
    "logo": {"text": "skdl"},
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    # Examples have long lines, and take the place of the table of contents.
    "secondary_sidebar_items": {page: ["page-toc"] for page in ("guide/**", "reference/**", "changes")},
    "footer_start": ["copyright"],
    "footer_end": [],
    # Nothing is looked up elsewhere, so that the pages work without a network.
    "check_switcher": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
toc_object_entries_show_parents = "hide"
html_sidebars = {"index": [], "changes": []}

# What is copied is code that runs: without prompts and without output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Autosummary reads files: this one has the estimators that skdl/__init__.pyi names.
_reference = HERE / "reference" / "index.rst"
_folders = ("skdl._estimators.", "skdl._tabular.")
_estimators = [name for name, module in skdl._DEFINED_IN.items() if module.startswith(_folders)]
_page = Path(f"{_reference}.in").read_text().replace("ESTIMATORS", "\n   ".join(sorted(_estimators)))
_reference.write_text(_page)
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    "backreferences_dir": None,
    "doc_module": ("skdl",),
    "reset_argv": "gallery.arguments",
    "within_subsection_order": "gallery.order",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    # Its page would load scripts from elsewhere.
    "write_computation_times": False,
}


def _skip_foreign(app, what, name, obj, skip, options):
    """Leave out members that are defined, and documented, by scikit-learn and others."""
    function = obj.fget if isinstance(obj, property) else getattr(obj, "fn", obj)
    module = getattr(function, "__module__", None) or ""
    if name.startswith("_") or not module.startswith("skdl"):
        return True
    return skip


def setup(app):
    """Register what this configuration adds."""
    app.connect("autodoc-skip-member", _skip_foreign)
    app.connect(
        "builder-inited", gallery.write_page, priority=600
    )  # after sphinx-gallery has written its own

"""How Sphinx builds the documentation; `make docs` runs it, and takes warnings as errors."""

import os
import sys
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import skdl  # noqa: E402

project = "skdl"
author = "The skdl developers"
copyright = "The skdl developers"
version = release = skdl.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
root_doc = "index"
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "py:obj"
highlight_language = "python"
# numpydoc makes a citation of every entry under "References"; most are sources that the
# text need not point at.
suppress_warnings = ["ref.citation"]

html_theme = "alabaster"
html_title = f"skdl {version}"
html_copy_source = False
html_theme_options = {
    "description": "Keras networks that are true scikit-learn estimators",
    "fixed_sidebar": True,
    "page_width": "1080px",
    # The browser's own fonts; nothing is loaded from elsewhere.
    "font_family": "Georgia, serif",
}

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    "backreferences_dir": None,
    "doc_module": ("skdl",),
    "reference_url": {"skdl": None},
    "reset_argv": "gallery.arguments",
    "within_subsection_order": "FileNameSortKey",
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

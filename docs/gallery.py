"""What the gallery gives to the examples that it runs."""

from pathlib import Path


def arguments(gallery_conf, script_vars):
    """Return the command line of an example: the folder for the pictures that it saves."""
    return ["--output", str(Path(gallery_conf["src_dir"]) / "_build" / "output")]

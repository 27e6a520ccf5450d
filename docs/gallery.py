"""What the gallery gives to the examples that it runs."""


def arguments(gallery_conf, script_vars):
    """Return the command line of an example, which runs in its own folder: where its pictures go."""
    return ["--output", "../docs/_build/output"]

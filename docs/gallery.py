"""The gallery: the order in which the examples teach, what each one shows, and its page."""

from pathlib import Path

# Example -> its lesson, and the picture that is its thumbnail; in the order in which to read them.
LESSONS = {
    "first_steps": ("One unit learns a rule from ten pairs of numbers.", "first_steps_line"),
    "quickstart": (
        "A network in the place of a random forest: scaler, SMOTE, grid search, hold-out.",
        "confusion_matrix",
    ),
    "iris": ("Three classes, one-hot targets, and the curves of loss and accuracy.", "iris_history"),
    "xor": ("One neuron cannot learn XOR; a hidden layer can.", "xor_regions"),
    "blood_fat": ("Linear regression is a network of one unit; scaling makes it quick.", "blood_fat_fit"),
    "learning_curves": ("What too little, too much and too hasty training look like.", "learning_curves_bad"),
    "credit_default": (
        "A first classifier, from the table to the confusion matrix; accuracy alone misleads.",
        "credit_confusion_matrix",
    ),
    "mnist_dense": (
        "Handwritten digits with a dense network, which is saved to one file and loaded.",
        "mnist_dense_prediction",
    ),
    "mnist_errors": ("Look at the misclassified digits behind an accuracy.", "mnist_errors_grid"),
    "mnist_convolutional": (
        "Convolutions read digits better than dense layers.",
        "mnist_convolutional_kernels",
    ),
    "fashion_mnist": ("Find over-fitting, and compare what helps against it.", "fashion_mnist_images"),
    "failing_wafers": ("Rare failures: SMOTE, honest validation rows, and the recall.", "wafers_history"),
    "bike_sharing": (
        "Regression with a scaled target, and errors in the target's own unit.",
        "bike_predictions",
    ),
    "tuning": (
        "All hyperparameters in one search, with other models beside the network.",
        "tuning_parameters",
    ),
    "onnx": (
        "A Pipeline as one ONNX file, which answers without TensorFlow and scikit-learn.",
        "onnx_probabilities",
    ),
    "frames": (
        "A text and numbers of a DataFrame as the inputs of one network; what each column is worth.",
        "frames",
    ),
    "larger_than_memory": (
        "A memory map, an HDF5 dataset: rows are read as the training needs them.",
        "larger_than_memory",
    ),
    "tabular": ("A raw table with text, categories and gaps, without preparation.", "tabular_calibration"),
}


def order(name):
    """Return the place of an example, for sphinx-gallery."""
    return list(LESSONS).index(name.removeprefix("plot_").removesuffix(".py"))


def arguments(gallery_conf, script_vars):
    """Return the command line of an example, which runs in its own folder: where its pictures go."""
    return ["--output", "../docs/_build/output"]


def thumbnail(folder, name, picture):
    """Make the thumbnail of an example from one of its pictures, and return its path."""
    thumb = folder / "images" / "thumb" / f"sphx_glr_plot_{name}_thumb.png"
    saved = folder.parent / "_build" / "output" / f"{picture}.png"
    if saved.exists():
        from sphinx_gallery.utils import scale_image

        scale_image(str(saved), str(thumb), 560, 400)
    return f"images/thumb/{thumb.name}"


def page(folder):
    """Return the gallery's page: a card for each example, with its title, lesson and thumbnail."""
    header = folder.parent.parent / "examples" / "GALLERY_HEADER.rst"
    lines = header.read_text(encoding="utf-8").splitlines()
    lines += ["", ".. container:: gallery", ""]
    for number, (name, (lesson, picture)) in enumerate(LESSONS.items(), start=1):
        lines += [
            "   .. container:: lesson",
            "",
            f"      .. image:: {thumbnail(folder, name, picture)}",
            "         :alt:",
            f"         :target: plot_{name}.html",
            "",
            f"      {number}\\. :doc:`plot_{name}`",
            "",
            f"      {lesson}",
            "",
        ]
    return "\n".join(
        [*lines, ".. toctree::", "   :hidden:", "", *(f"   plot_{name}" for name in LESSONS), ""]
    )


def write_page(app):
    """Write the gallery's page in the place of sphinx-gallery's own."""
    folder = Path(app.srcdir) / "auto_examples"
    (folder / "index.rst").write_text(page(folder), encoding="utf-8")

"""README, guide and gallery say what is true, each thing in one place."""

import contextlib
import importlib.util
import io
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

import skdl

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MARKDOWN = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]


def module(path, monkeypatch):
    """Import a script of a folder that is no package."""
    monkeypatch.syspath_prepend(str((ROOT / path).parent))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def block(language):
    return re.search(f"```{language}\n(.*?)```", README, re.DOTALL).group(1)


def numbers(text):
    return [float(found) for found in re.findall(r"\d+\.\d+", text)]


def test_the_start_of_the_readme_prints_what_it_says(tmp_path, monkeypatch):
    from matplotlib import pyplot as plt

    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block("python"), {})
    plt.close("all")
    assert (tmp_path / "history.png").exists()
    # Processors round differently, so the score may differ in its last digit.
    assert numbers(printed.getvalue()) == pytest.approx(numbers(block("text")), abs=0.002)
    assert re.sub(r"[\d.]+", "", printed.getvalue()) == re.sub(r"[\d.]+", "", block("text"))


@pytest.mark.parametrize("name", MARKDOWN)
def test_every_link_leads_to_a_file_and_a_heading(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        assert not path.startswith(("http", "/")), target
        assert (ROOT / path).exists(), target
        titles = re.findall(r"^(.+)\n[=-]{3,}$", (ROOT / path).read_text(), re.M) if heading else []
        assert not heading or heading in [title.lower().replace(" ", "-") for title in titles], target


def test_the_tables_of_the_readme_are_those_of_the_measurements(monkeypatch):
    readme = module("benchmarks/readme.py", monkeypatch)
    run = module("benchmarks/run.py", monkeypatch)
    assert readme.get("benchmark") == run.table(json.loads((ROOT / "benchmarks/results.json").read_text()))
    assert readme.get("tables") == readme.from_csv(ROOT / "docs/guide/tables.csv")


def test_the_pictures_are_drawn_by_the_code_above_them(monkeypatch):
    images = module("docs/make_images.py", monkeypatch)
    expected = {name: digest for page in images.PAGES for name, digest in images.pictures(page).items()}
    assert {path.stem for path in (ROOT / "docs/images").iterdir()} == set(expected)
    # Where this fails, "make images" draws them anew.
    for name, digest in expected.items():
        with Image.open(ROOT / "docs" / "images" / f"{name}.png") as image:
            assert image.text["Source"] == digest, name


def test_the_gallery_has_a_lesson_and_a_thumbnail_for_each_example(monkeypatch):
    lessons = module("docs/gallery.py", monkeypatch).LESSONS
    examples = {path.stem.removeprefix("plot_"): path for path in (ROOT / "examples").glob("*.py")}
    assert set(lessons) == set(examples)
    for name, (_, picture) in lessons.items():
        assert f'"{picture}.png"' in examples[name].read_text(encoding="utf-8"), name


def test_every_page_of_the_guide_is_in_its_table_of_contents():
    pages = {path.stem for path in (ROOT / "docs/guide").glob("*.rst")} - {"index"}
    assert set(re.findall(r"^   (\w+)$", (ROOT / "docs/guide/index.rst").read_text(), re.M)) == pages


@pytest.mark.parametrize("path", sorted((ROOT / "docs/guide").glob("*.rst")), ids=lambda path: path.stem)
def test_code_of_the_guide_fits_its_page(path):
    text = path.read_text(encoding="utf-8")
    # So many characters fit between the two sidebars at 1,280 pixels.
    assert re.findall(r"^(?= *(?:>>>|\.\.\.) ).{96,}$", text, re.M) == []


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.M).group(1) == skdl.__version__
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M).group(1)
    assert newest in (skdl.__version__, "Unreleased")  # changes of the next version


def test_the_source_distribution_has_what_its_documents_link_to():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "sdist"
    ]
    packed = {path.lstrip("/") for path in settings["include"]}
    for target in re.findall(r"\]\(([^)\s#]+)", README):
        assert target.split("/")[0] in packed, target

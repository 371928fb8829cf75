"""No command writes over what it reads, whatever --force says and by whatever path."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ..conftest import ROOT

KINETO = ROOT / "tests" / "kineto" / "data" / "h100_train.json.gz"
TRACES = ROOT / "traces"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Traces of every kind with their manifests, and links to them."""
    for name in ("example-sync.sqlite", "example-sync.json", "h100-article.db"):
        shutil.copy(TRACES / name, tmp_path / name.replace("example-sync", "run"))
    shutil.copy(KINETO, tmp_path / "k.json.gz")
    for end in (".csv", ".html", ".svg", ".toml", ".json"):  # an input's name says nothing
        shutil.copy(tmp_path / "run.sqlite", tmp_path / f"odd{end}")
    (tmp_path / "run.nsys-rep").write_text("a report")
    (tmp_path / "k.json").write_text('{"manifest_version": 1}')
    (tmp_path / "sub").mkdir()
    shutil.copy(TRACES / "example-pipelined.sqlite", tmp_path / "sub" / "in.sqlite")
    (tmp_path / "sub" / "in.json").write_text('{"manifest_version": 1}')
    (tmp_path / "sub" / "t_pqtdir").mkdir()
    (tmp_path / "sub" / "t.json").write_text('{"manifest_version": 1}')
    (tmp_path / "link.json").symlink_to("run.json")
    os.link(tmp_path / "odd.json", tmp_path / "hard.json")
    (tmp_path / "way").symlink_to(".")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("gaps odd.json -o odd.json", "odd.json is the input odd.json"),
        ("gaps run.sqlite -o run.json", "run.json is the manifest of the input run.sqlite"),
        ("gaps run.nsys-rep -o run.json", "run.json is the manifest of the input run.nsys-rep"),
        ("gaps run.sqlite odd.csv -o odd.csv", "odd.csv is the input odd.csv"),
        ("gaps run.sqlite -o ./sub/../run.json", "is the manifest of"),
        ("gaps run.sqlite -o link.json", "link.json is the manifest of the input run.sqlite"),
        ("gaps odd.json -o hard.json", "hard.json is the input odd.json"),
        ("gaps way/run.sqlite -o run.json", "is the manifest of the input way/run.sqlite"),
        ("gaps k.json.gz -o k.json", "k.json is the manifest of the input k.json.gz"),
        ("report odd.html -o way/odd.html", "is the input odd.html"),
        ("export k.json.gz -o k.json.gz", "k.json.gz is the input k.json.gz"),
        ("export run.sqlite -o run.json", "is the manifest of the input run.sqlite"),
        ("show odd.svg -o odd.svg", "is the input odd.svg"),
        ("compare run.sqlite sub -o sub/in.json", "is the manifest of the input sub/in.sqlite"),
        ("compare . sub -o run.json", "run.json is the manifest of the input run."),
        ("gaps sub/t_pqtdir -o sub/t.json", "is the manifest of the input sub/t_pqtdir"),
        ("compare odd.csv run.sqlite -o odd.csv", "is the input odd.csv"),
        ("compare h100-article.db#baseline h100-article.db --format csv -o h100-article.db",
         "is the input h100-article.db"),
        ("predict --from run.sqlite -o run.json", "is the manifest of the input run.sqlite"),
        ("predict --gpu ./odd.csv -o odd.csv", "is the input odd.csv"),
        ("scrub run.sqlite -o run.sqlite", "is the input run.sqlite"),
        ("scrub run.nsys-rep -o run.db", "run.json is the manifest of the input run.nsys-rep"),
        ("calibrate odd.toml -o odd.toml", "is the input odd.toml"),
        ("calibrate run.sqlite --gpu ./odd.toml -o odd.toml", "is the input odd.toml"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("force", [True, False])
def test_an_input_is_no_output(inside, folder: Path, words: str, says: str, force: bool) -> None:
    before = contents(folder)
    run = inside(*words.split(), *(["--force"] if force else []))
    (line,) = run.stderr.strip().splitlines()
    assert says in line
    assert line.endswith("and would be replaced; name another file with -o [would-replace-input]")
    assert (run.returncode, run.stdout) == (2, "")
    assert contents(folder) == before


@pytest.mark.parametrize(
    "words",
    [
        "export sub/in.sqlite -o twice.json",
        "compare run.sqlite sub -o sub/told.json",
        "gaps run.sqlite -o odd.md",
    ],
)
def test_an_output_of_before_is_replaced_with_force(inside, folder: Path, words: str) -> None:
    for options in ([], ["--force"]):
        run = inside(*words.split(), *options)
        assert run.returncode == 0, run.stderr


def test_an_export_beside_its_trace_is_no_manifest(inside, folder: Path) -> None:
    (folder / "sub" / "in.json").unlink()
    for options in ([], ["--force"]):
        run = inside("export", "sub/in.sqlite", "-o", "sub/in.json", *options)
        assert run.returncode == 0, run.stderr

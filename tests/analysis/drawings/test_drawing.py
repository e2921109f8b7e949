"""A drawing is three files: two pictures with its caption in them, and its numbers."""

from __future__ import annotations

import pandas as pd
import pytest
from PIL import Image

from analysis.drawings import Drawing
from analysis.drawings.drawing import drawn
from analysis.errors import InputError

CAPTION = "One line: it rises from 1 to 2 & stays."


def line():
    with drawn(size=(3, 2)) as panels:
        panels[0, 0].plot([0, 1], [1, 2])
    return Drawing(
        name="line",
        figure=panels[0, 0].figure,
        caption=CAPTION,
        data=pd.DataFrame({"x": [0, 1], "y": [1.0, 2.0]}),
    )


def test_saving_writes_two_pictures_and_the_numbers(tmp_path):
    line().save(tmp_path / "new" / "folder")
    written = sorted(path.name for path in (tmp_path / "new/folder").iterdir())
    assert written == ["line.csv", "line.png", "line.svg"]


def test_the_numbers_are_a_table_without_an_index(tmp_path):
    line().save(tmp_path)
    assert (tmp_path / "line.csv").read_text() == "x,y\n0,1\n1,2\n"


def test_the_same_drawing_saved_twice_is_the_same_bytes(tmp_path):
    line().save(tmp_path / "one")
    line().save(tmp_path / "other")
    for kind in ("svg", "png", "csv"):
        one, other = (tmp_path / folder / f"line.{kind}" for folder in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()


def test_the_caption_stands_in_both_pictures(tmp_path):
    line().save(tmp_path)
    assert CAPTION.replace("&", "&amp;") in (tmp_path / "line.svg").read_text()
    assert Image.open(tmp_path / "line.png").text["Description"] == CAPTION


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"can't make the folder .*file") as error:
        line().save(tmp_path / "file")
    assert "\n" not in str(error.value)


def test_a_picture_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "line.svg").mkdir()
    with pytest.raises(InputError, match=r"can't write .*line: Is a directory") as error:
        line().save(tmp_path)
    assert "\n" not in str(error.value)


def test_saving_gives_the_drawing_back(tmp_path):
    drawing = line()
    assert drawing.save(tmp_path) is drawing

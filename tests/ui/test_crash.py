"""The window's process is killed right after a stroke; a new one finds the stroke."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from napari_unet.store.project import Project

SCRIPT = Path(__file__).with_name("painter.py")


def test_a_stroke_survives_the_death_of_the_window(project, cells, tmp_path):
    image, log = tmp_path / "plate.npy", tmp_path / "painter.log"
    np.save(image, cells)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(project.folder), str(image)],
            stdout=subprocess.PIPE,
            stderr=output,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == b"painted", log.read_text()
            time.sleep(1.2)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    review = Project.open(project.folder).image(cells, name="plate").load_review()
    assert review.labels[10, 80] == 77
    assert review.prediction[10, 80] == 0
    assert review.changed()[10, 60:100].all()


def test_and_the_window_shows_it_again(open_window, cells, tmp_path, project):
    test_a_stroke_survives_the_death_of_the_window(project, cells, tmp_path)
    window = open_window()
    window.add_image(cells)
    window.wait(lambda: window.labels is not None)
    assert window.labels.data[10, 80] == 77

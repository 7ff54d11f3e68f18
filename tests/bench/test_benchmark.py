import numpy as np
import pytest
import tifffile

from napari_unet.bench.benchmark import Result, check_output, find_data_sets, render_table, run_benchmark
from napari_unet.bench.membranes import MembraneScores
from napari_unet.bench.methods import load_methods, segment_otsu
from napari_unet.core.base.errors import InputError
from napari_unet.core.cells.metrics import evaluate
from napari_unet.core.synthetic.scenes import render_membranes, render_nuclei, render_stack


def write_set(root, name, scenes, **masks):
    """Write images and masks as a data set of the split val."""
    for folder, arrays in {"images": scenes, **masks}.items():
        place = root / name / "val" / folder
        place.mkdir(parents=True)
        for number, array in enumerate(arrays):
            rgb = folder == "images" and array.shape[-1] == 3
            tifffile.imwrite(place / f"{number}.tif", array, photometric="rgb" if rgb else "minisblack")


def write_nuclei(root, name="nuclei", count=2):
    scenes = [render_nuclei((96, 112), objects=8, radius=9, seed=seed) for seed in range(count)]
    write_set(root, name, [s.image for s in scenes], masks=[s.labels.astype(np.uint16) for s in scenes])
    return scenes


def run(root, *names, models=(), peers=("otsu",)):
    return list(run_benchmark(find_data_sets(root, names), load_methods(models, peers)))


def test_every_method_is_scored_on_every_data_set(tmp_path, tiny_model, bright_squares):
    image, labels = bright_squares
    scenes = write_nuclei(tmp_path)
    write_set(tmp_path, "squares", [image] * 3, masks=[labels.astype(np.uint16)] * 3)
    results = run(tmp_path, models=[str(tiny_model)])
    assert [(r.data_set, r.method, r.images) for r in results] == [
        ("nuclei", "bright", 2),
        ("nuclei", "otsu", 2),
        ("squares", "bright", 3),
        ("squares", "otsu", 3),
    ]
    by_hand = evaluate([segment_otsu(scene.image) for scene in scenes], [scene.labels for scene in scenes])
    assert results[1].scores == by_hand
    assert results[2].scores.ap75 == 1
    assert results[2].scores.matched == results[2].scores.objects == 9
    assert all(result.membranes is None and result.seconds > 0 for result in results)


def test_colour_and_16_bit_images_count_as_well(tmp_path, tiny_model, bright_squares):
    image, labels = bright_squares
    offset = image.astype(np.uint16) + 33000
    colour = np.stack([image] * 3, axis=-1)
    write_set(tmp_path, "squares", [image, offset, colour], masks=[labels.astype(np.uint16)] * 3)
    for result in run(tmp_path, models=[str(tiny_model)]):
        assert result.scores.ap50 == 1


def test_stacks_are_scored_plane_by_plane(tmp_path, tiny_model, bright_squares):
    image, labels = bright_squares
    stack = np.stack([image, np.roll(image, 5, 0), image, image, image])
    truth = np.stack([labels, np.roll(labels, 5, 0), labels, labels, labels]).astype(np.uint16)
    scene = render_stack((5, 64, 80), objects=6)
    write_set(tmp_path, "stack", [stack, scene.image], masks=[truth, scene.labels.astype(np.uint16)])
    model, otsu = run(tmp_path, models=[str(tiny_model)])
    expected = 15 + sum(len(np.unique(plane[plane > 0])) for plane in scene.labels)
    assert model.scores.objects == otsu.scores.objects == expected
    assert model.scores.matched >= 15


def test_membranes_are_scored_from_the_map_or_from_the_labels(tmp_path, tiny_model):
    scene = render_membranes((128, 128), objects=9)
    interior = np.where(scene.labels > 0, 255, 0).astype(np.uint8)
    masks = {"masks": [scene.labels.astype(np.uint16)], "masks_membrane": [interior]}
    write_set(tmp_path, "clear", [interior], **masks)
    write_set(tmp_path, "real", [scene.image], **masks)
    by_map, by_labels, real, _ = run(tmp_path, models=[str(tiny_model)])
    assert by_map.membranes.v_rand > 0.9
    assert 0 < by_map.membranes.v_rand_prominence < 1
    assert by_labels.membranes.v_rand_prominence is None
    assert by_labels.membranes.v_rand < 1  # the watershed splits bent profiles
    assert real.membranes.v_rand < by_map.membranes.v_rand


def test_progress_names_what_is_being_done(tmp_path):
    write_nuclei(tmp_path)
    told = []
    list(run_benchmark(find_data_sets(tmp_path), load_methods([], ["otsu"]), told.append))
    assert [progress.fraction for progress in told] == [0, 0.5]
    assert told[1].message == "nuclei, otsu: image 2 of 2"


def test_the_table_has_a_row_for_each_result():
    labels = np.zeros((9, 9), int)
    labels[2:6, 2:6] = 1
    shifted = np.roll(labels, 1, 0)  # IoU 0.6
    result = Result(data_set="dsb", method="nuclei", images=4, seconds=1.25, scores=evaluate(shifted, labels))
    scored = result.model_copy(update={"membranes": MembraneScores(v_rand=0.5, v_info=0.25)})
    lines = render_table([result, result]).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("| data set | method | AP 0.5 | AP 0.75 | AP 0.9 | mean AP |")
    assert lines[2].startswith("| dsb | nuclei | 1.000 | 0.000 | 0.000 | 0.333 | 0.600 | 0.750 | 1 | 0 | 0 |")
    assert "V_rand" not in lines[0]
    with_membranes = render_table([result, scored]).splitlines()
    assert "| V_rand | V_info |" in with_membranes[0]
    assert "| - | - |" in with_membranes[2]
    assert "| 0.500 | 0.250 |" in with_membranes[3]


def test_data_sets_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match="no data set in"):
        find_data_sets(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        find_data_sets(tmp_path / "nowhere")
    write_nuclei(tmp_path)
    with pytest.raises(InputError, match=r"'cells' with a split 'val'.*there are nuclei"):
        find_data_sets(tmp_path, ["cells"])
    with pytest.raises(InputError, match="NAME/train/images"):
        find_data_sets(tmp_path, split="train")
    (tmp_path / "nuclei" / "val" / "masks" / "1.tif").unlink()
    with pytest.raises(InputError, match="no label image for 1"):
        find_data_sets(tmp_path)


def test_an_image_that_cannot_be_used_is_named(tmp_path, tiny_model):
    write_set(tmp_path, "odd", [np.zeros((20, 20), np.uint8)], masks=[np.ones((20, 21), np.uint16)])
    with pytest.raises(InputError, match=r"otsu on odd, 0\.tif: .*\(20, 21\)"):
        run(tmp_path)
    write_set(tmp_path, "empty", [np.zeros((20, 20), np.uint8)], masks=[np.ones((20, 20), np.uint16)])
    with pytest.raises(InputError, match=r"bright on empty, 0\.tif: The image is constant"):
        run(tmp_path, "empty", models=[str(tiny_model)], peers=())


def test_tables_go_into_markdown_files_only(tmp_path):
    check_output(tmp_path / "table.md")
    with pytest.raises(InputError, match=r"ends in \.md"):
        check_output(tmp_path / "model.keras")
    with pytest.raises(InputError, match="no folder"):
        check_output(tmp_path / "nowhere" / "table.md")

import numpy as np

from napari_unet.io.shapes import trace_shapes


def test_there_is_one_shape_for_each_cell_and_plane_by_place_and_id() -> None:
    labels = np.zeros((2, 3, 8, 8), np.int32)
    labels[0, 1, 1:4, 1:4] = 7
    labels[0, 1, 5:7, 5:7] = 3
    labels[1, 2, 1:4, 1:4] = 7
    shapes = list(trace_shapes(labels, "TZYX"))
    assert [(shape.label, shape.place) for shape in shapes] == [
        (3, {"T": 0, "Z": 1}),
        (7, {"T": 0, "Z": 1}),
        (7, {"T": 1, "Z": 2}),
    ]


def test_a_cell_of_two_pieces_with_a_hole_keeps_all_of_its_rings() -> None:
    labels = np.zeros((9, 9), np.int32)
    labels[1:6, 1:6] = 1
    labels[3, 3] = 0
    labels[7, 7] = 1
    (shape,) = trace_shapes(labels, "YX")
    assert shape.place == {}
    assert sorted(len(polygon) for polygon in shape.polygons) == [1, 2]
    corners = [tuple(corner) for ring in shape.polygons[0] for corner in np.asarray(ring).tolist()]
    assert (1, 1) in corners
    assert (6, 6) in corners

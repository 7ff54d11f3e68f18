from napari_unet.core.base.params import NetworkParams
from napari_unet.core.image.footprint import estimate_footprint


def estimate(side, block, **options):
    network = NetworkParams(filters=32, max_filters=256, classes=3)
    given = {"tile": (960, 960), **options}
    return estimate_footprint((side, side), (side, side), network, 2, block=block, **given)


def test_memory_grows_with_the_block_and_not_with_the_image():
    assert estimate(20_000, 1024).memory < estimate(20_000, 4096).memory < 4e9
    assert estimate(20_000, 4096).memory == estimate(80_000, 4096).memory


def test_memory_counts_what_is_read_and_linked_at_a_time():
    plain = estimate(2048, 1024).memory
    assert estimate(2048, 1024, chunk=10**9).memory >= plain + 10**9
    assert estimate(2048, 1024, planes=500).memory > 2048 * 2048 * 500 * 8


def test_disk_holds_the_maps_and_the_marks_of_every_pixel():
    assert estimate(1000, 1024).disk == 1000 * 1000 * (2 * 4 + 4)
    assert estimate(1000, 1024, depth=True).disk == 1000 * 1000 * (2 * 4 + 4 + 8)
    assert "GB of memory and 4.8 GB of disk" in estimate(20_000, 4096).describe()

"""Segment every TIFF in a folder and write label images: `python segment_folder.py IMAGES LABELS`."""

import sys
from pathlib import Path

import tifffile

import napari_unet

images, output = Path(sys.argv[1]), Path(sys.argv[2])
output.mkdir(parents=True, exist_ok=True)
model = napari_unet.load_model("nuclei")  # loaded once, used for all images

for path in sorted(images.glob("*.tif")):
    try:
        labels = napari_unet.segment(tifffile.imread(path), model)
    except napari_unet.InputError as error:
        print(f"{path.name}: skipped. {error}")
        continue
    tifffile.imwrite(output / path.name, labels, compression="zlib")
    print(f"{path.name}: {labels.max()} cells")

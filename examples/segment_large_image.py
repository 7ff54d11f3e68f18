"""Segment an image bigger than memory: `python segment_large_image.py IMAGE.zarr LABELS.zarr`.

IMAGE.zarr is a zarr array (Y, X), or anything else with a shape, a dtype and slices. LABELS.zarr becomes an
OME-Zarr label image.
"""

import sys

import zarr

import napari_unet

image = zarr.open_array(sys.argv[1], mode="r")
labels = napari_unet.segment(image, "nuclei", axes="YX", output=sys.argv[2], warn=print)
print(f"Labels of {labels.shape} are in {sys.argv[2]}")

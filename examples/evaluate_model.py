"""Score a model on an image with known cells: `python evaluate_model.py IMAGE LABELS [MODEL]`."""

import sys

import tifffile

import napari_unet

image, truth = tifffile.imread(sys.argv[1]), tifffile.imread(sys.argv[2])
model = sys.argv[3] if len(sys.argv) > 3 else "nuclei"

scores = napari_unet.evaluate(napari_unet.segment(image, model), truth)
print(f"{scores.matched} of {scores.objects} cells found at IoU 0.5; mean AP {scores.mean_ap:.2f}")
for threshold, value in scores.ap.items():
    print(f"AP at IoU {threshold}: {value:.2f}")
print(f"missed {scores.missed}, false {scores.false}, split {scores.split}, merged {scores.merged}")

"""Fine-tune on one corrected image: `python fine_tune_model.py IMAGE LABELS MODEL.keras [SECONDS]`."""

import sys
from pathlib import Path

import tifffile

import napari_unet

image, labels = tifffile.imread(sys.argv[1]), tifffile.imread(sys.argv[2])
output = Path(sys.argv[3])
seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 60.0


def show(progress: napari_unet.Progress) -> None:
    """Print the message, and the loss where there is one."""
    loss = progress.values.get("loss")
    print(progress.message, "" if loss is None else f"loss {loss:.3f}")


# All pixels teach. Pass reviewed=[mask] to use only the pixels that you have checked.
result = napari_unet.fine_tune("nuclei", [image], [labels], seconds=seconds, progress=show)

if result.before and result.after:
    print(f"AP at IoU 0.5 on held-out cells: {result.before.ap50:.2f} -> {result.after.ap50:.2f}")
print(f"Compared with the old model: {result.verdict.value}.")
if result.accepted:
    result.model.save(output)
    print(f"Saved {output}")

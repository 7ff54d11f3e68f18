"""What an image file says about its array: axes, pixel size, channel names."""

from __future__ import annotations

from dataclasses import dataclass

MICROMETRES = {
    **dict.fromkeys(("pm", "picometer"), 1e-6),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    **dict.fromkeys(("nm", "nanometer"), 1e-3),
    **dict.fromkeys(("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("mm", "millimeter"), 1e3),
    **dict.fromkeys(("cm", "centimeter"), 1e4),
    **dict.fromkeys(("inch", "in"), 25400.0),
    **dict.fromkeys(("m", "meter"), 1e6),
}
"""Micrometres in the units of length that files and napari use, by lower-case name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a file says about its array.

    `axes` has one letter of TZCYXS per axis of the array; S stands for red, green, blue (and alpha) and comes
    last. `pixel_size` (along Y and X) and `z_step` are in micrometres, None where the file does not say.
    `channel_names` has one name per channel, or is empty.
    """

    axes: str
    pixel_size: float | None = None
    z_step: float | None = None
    channel_names: tuple[str, ...] = ()

    @property
    def rgb(self) -> bool:
        """True if the last axis holds colours."""
        return self.axes.endswith("S")

    @property
    def scale(self) -> tuple[float, ...]:
        """Step along each axis but S: micrometres where the file gives a length, else 1."""
        return tuple(self._length(axis) or 1.0 for axis in self.axes if axis != "S")

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each axis but S: "um" where `scale` is a length, else "pixel"."""
        return tuple("um" if self._length(axis) else "pixel" for axis in self.axes if axis != "S")

    @property
    def axis_labels(self) -> tuple[str, ...]:
        """Lower-case letter of each axis but S."""
        return tuple(self.axes.replace("S", "").lower())

    def _length(self, axis: str) -> float | None:
        return {"Z": self.z_step, "Y": self.pixel_size, "X": self.pixel_size}.get(axis)

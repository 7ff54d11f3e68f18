"""The card of a model: what it segments, how it was made and how well it does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from napari_unet.core.base.params import (
    MOST_ENLARGED,
    MOST_SHRUNK,
    NORMALISATION,
    OUTPUT_MAPS,
    InstanceParams,
    NetworkParams,
)

_BELIEVED = 3.0
FORMAT = 1
"""Version of the layout that is written, and the latest that is read."""
_OUTPUTS = {"background", *OUTPUT_MAPS}
_LARGEST_CELL = 1e5


class ModelCard(BaseModel):
    """All that is needed to use a model besides its weights; stored as JSON inside the model's file.

    What the network has learnt last is on it: how large it sees cells, and how they are drawn.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = Field(FORMAT, description="Version of this card's layout.", ge=1, le=FORMAT)
    name: str = Field(title="Name", min_length=1, max_length=80)
    title: str = Field("", title="What it segments")
    description: str = ""
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    network: NetworkParams
    outputs: tuple[str, ...] = Field(description="Name of each output map, in order.")
    normalisation: str = Field(NORMALISATION, description="What is done to pixels first.")
    scale: float = Field(
        1.0,
        ge=MOST_SHRUNK,
        le=MOST_ENLARGED,
        description="Network pixels per image pixel, for images of the training images' pixel size.",
    )
    object_size: float | None = Field(
        None,
        gt=0,
        le=_LARGEST_CELL,
        title="Cell diameter",
        description="Median over the training cells, network pixels.",
    )
    size_range: tuple[float, float] | None = Field(
        None, description="Smallest and largest cell diameter that the network has learnt, network pixels."
    )
    instances: InstanceParams = InstanceParams()
    pixel_size: float | None = Field(
        None,
        gt=0,
        le=1e6,
        title="Pixel size",
        description="Of the training images, µm.",
        json_schema_extra={"unit": "µm"},
    )
    parent: str | None = Field(None, description="SHA-256 of the model this one was fine-tuned from.")
    training: dict[str, Any] = Field(default_factory=dict, description="Data, licences, recipe, duration.")
    scores: dict[str, Any] = Field(default_factory=dict, description="Scores by data set.")
    versions: dict[str, str] = Field(default_factory=dict, description="Software it was made with.")

    @model_validator(mode="before")
    @classmethod
    def _name_other_networks(cls, given: Any) -> Any:
        """Say of a file of an earlier version how many networks in it are no longer used."""
        count = len(given.get("earlier") or ()) if isinstance(given, dict) else 0
        if not count:
            return given
        told = f"The file also holds {count} earlier network{'s' * (count > 1)}: only the last one is used."
        description = f"{given.get('description', '')} {told}".strip()
        return {**{k: v for k, v in given.items() if k != "earlier"}, "description": description}

    @field_validator("size_range")
    @classmethod
    def _check_sizes(cls, given: tuple[float, float] | None) -> tuple[float, float] | None:
        if given is not None and not 0 < given[0] <= given[1] <= _LARGEST_CELL:
            raise ValueError("the smallest and the largest cell diameter are no range of lengths")
        return given

    @model_validator(mode="after")
    def _check_outputs(self) -> ModelCard:
        names = self.outputs
        if "foreground" not in names or not set(names) <= _OUTPUTS or len(set(names)) != len(names):
            raise ValueError(f"the output maps {', '.join(names)} are not known")
        if len(names) != self.network.classes:
            raise ValueError(f"the network draws {self.network.classes} maps, but {len(names)} are named")
        return self

    def knows_scale(self, pixel_size: float | None) -> bool:
        """Whether pixel sizes tell how an image of ``pixel_size`` (µm, or None) has to be resized."""
        return pixel_size is not None and self.pixel_size is not None

    def believes(self, pixel_size: float | None) -> bool:
        """Whether ``pixel_size`` (µm) and that of the training images, if both are known, are within 3x.

        Beyond that one may be of another unit, or made up: cells that are found have to bear it out.
        """
        if pixel_size is None or self.pixel_size is None:
            return True
        return 1 / _BELIEVED <= pixel_size / self.pixel_size <= _BELIEVED

    def image_scale(self, pixel_size: float | None) -> float:
        """Return the factor by which an image of ``pixel_size`` (µm, or None) is resized for the network."""
        if pixel_size is None or self.pixel_size is None:
            return self.scale
        # What is enlarged further shows nothing more, and may not fit into memory.
        return min(self.scale * pixel_size / self.pixel_size, max(self.scale, MOST_ENLARGED))

    def settles_scale(self, pixel_size: float | None) -> bool:
        """Whether ``pixel_size`` (µm, or None) alone says how an image is resized for the network."""
        return self.knows_scale(pixel_size) and self.believes(pixel_size)

    def explain_pixels(self, pixel_size: float | None) -> str:
        """Say that the pixels of an image, of ``pixel_size`` in µm, are not those of the training images."""
        assert pixel_size is not None
        assert self.pixel_size is not None
        ratio = pixel_size / self.pixel_size
        kind, times = ("larger", ratio) if ratio > 1 else ("smaller", 1 / ratio)
        return (
            f"The image's pixels ({pixel_size:.3g} µm) are {times:.0f} times {kind} than those "
            f"{self.name} was trained on ({self.pixel_size:.3g} µm), and the cells found do not fit: "
            "check the pixel size, or choose another model."
        )

"""Every parameter a user can set: one frozen field with its title, range, unit and help.

Panels, the command line, JSON files and the documentation read these fields and nothing else.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_unet.core.base.errors import InputError

OUTPUT_MAPS = ("foreground", "border", "distance")

LOW, HIGH = 1.0, 99.8
CLIP = (-1.0, 3.0)
NORMALISATION = (
    f"Percentiles {LOW:g} and {HIGH:g} of each channel of a plane become 0 and 1, the rest is cut at "
    f"{CLIP[0]:g} and {CLIP[1]:g}."
)
MOST_SHRUNK, MOST_ENLARGED = 1 / 8, 4.0


def _unit(name: str) -> dict[str, Any]:
    return {"unit": name}


class Params(BaseModel):
    """Base of all parameter sets: immutable, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def of(cls, **given: object) -> Self:
        """Return what a user has given; InputError, one sentence, about the first that cannot be so."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            title = cls.model_fields[name].title if name in cls.model_fields else ""
            raise InputError(f"{title or name}: {first['msg']}.") from error


class NetworkParams(Params):
    """Architecture of a U-Net; the defaults are the reference network ``unet-64``."""

    channels: int = Field(1, title="Input channels", ge=1, le=16, description="Channels of the image.")
    filters: int = Field(
        64, title="Filters", ge=2, le=128, description="Filters of the first block; doubled at every level."
    )
    max_filters: int | None = Field(
        None, title="Most filters", ge=2, description="Cap on the doubling; none in the reference network."
    )
    depth: int = Field(4, title="Depth", ge=1, le=6, description="Number of 2x2 poolings.")
    classes: int = Field(1, title="Output maps", ge=1, le=16, description="Channels of the output.")
    padding: Literal["same", "valid"] = Field(
        "same", title="Padding", description="'valid' is the paper's unpadded network with cropped skips."
    )
    activation: Literal["sigmoid", "softmax"] = Field(
        "sigmoid", title="Output activation", description="'softmax' needs two classes or more."
    )
    dropout: float = Field(
        0.0, title="Dropout", ge=0, lt=1, description="Rate at the end of the contracting path."
    )
    initializer: Literal["glorot_uniform", "he_normal"] = Field(
        "glorot_uniform", title="Initialisation", description="'he_normal' is the paper's."
    )
    stem: int = Field(
        0,
        title="Stem filters",
        ge=0,
        le=64,
        description="Filters of a thin level at full resolution, below which the network works at half "
        "resolution; 0 for none, as in the reference network.",
    )
    block: Literal["plain", "residual"] = Field(
        "plain", title="Block", description="'residual' adds each block's input to its output."
    )
    batch_normalisation: bool = Field(
        False,
        title="Batch normalisation",
        description="After every convolution of a residual block, while a network is trained from scratch; "
        "afterwards it is folded into the convolutions.",
    )

    @model_validator(mode="after")
    def _check_variants(self) -> NetworkParams:
        if self.padding == "valid" and (self.stem or self.block == "residual"):
            raise ValueError("a stem and residual blocks need padding 'same'")
        if self.batch_normalisation and self.block == "plain":
            raise ValueError("batch normalisation needs residual blocks")
        return self

    @property
    def halvings(self) -> int:
        """How often the resolution is halved on the way to the bottleneck."""
        return self.depth + (1 if self.stem else 0)

    @property
    def step(self) -> int:
        """Side in px of one bottleneck pixel; tiles lie on this grid."""
        return int(2**self.halvings)

    @property
    def level_filters(self) -> tuple[int, ...]:
        """Filters at each level, from the top to the bottleneck."""
        cap = self.max_filters or self.filters * 2**self.depth
        return tuple(min(self.filters * 2**level, cap) for level in range(self.depth + 1))

    def count_parameters(self) -> int:
        """Return the number of weights and biases without building the network."""
        levels = self.level_filters
        inputs = self.stem or self.channels
        total = 10 * self.stem + 9 * (self.channels - 1) * self.stem  # the stem's own convolution
        if self.stem:
            total += 4 * self.stem * levels[0] + levels[0]
            inputs = levels[0]
        for filters in levels:
            total += self._count_block(inputs, filters)
            inputs = filters
        for filters in levels[-2::-1]:
            total += 4 * inputs * filters + filters + self._count_block(2 * filters, filters)
            inputs = filters
        if self.stem:
            total += 4 * inputs * self.stem + self.stem + 9 * 2 * self.stem * self.stem + self.stem
            inputs = self.stem
        return total + inputs * self.classes + self.classes

    def _count_block(self, inputs: int, filters: int) -> int:
        total = 9 * filters * (inputs + filters) + 2 * filters
        if self.batch_normalisation:
            total += 2 * 3 * filters  # instead of a bias: scale, shift, mean and variance
        if self.block == "residual" and inputs != filters:
            total += inputs * filters + filters
        return total


class Preset(NamedTuple):
    """A network and the names of its output maps."""

    network: NetworkParams
    outputs: tuple[str, ...]


PRESETS = {
    "unet-64": Preset(NetworkParams(), ("foreground",)),
    "unet-paper": Preset(
        NetworkParams(classes=2, padding="valid", activation="softmax", dropout=0.5, initializer="he_normal"),
        ("background", "foreground"),
    ),
    "unet-32": Preset(
        NetworkParams(filters=32, max_filters=256, classes=3, initializer="he_normal"), OUTPUT_MAPS
    ),
    "unet-16": Preset(NetworkParams(filters=16, classes=3, initializer="he_normal"), OUTPUT_MAPS),
    "unet-fast": Preset(
        NetworkParams(
            filters=32,
            depth=3,
            classes=3,
            initializer="he_normal",
            stem=16,
            block="residual",
            batch_normalisation=True,
        ),
        OUTPUT_MAPS,
    ),
}


VIEWS = 8
"""In how many ways a tile can be turned and mirrored."""


AUTO = "auto"
"""In place of a model's name: the one that fits the image best."""


ChannelNumbers = int | tuple[int, ...] | None
"""A channel by its number from 0, several, or None for what the image has."""


class SegmentParams(Params):
    """How an image is segmented: what the window, the command line, a batch and the worker tell each other.

    ``channel`` counts from 0, as arrays do; forms and the command line show and read it counted from 1.
    """

    model: str = Field(
        AUTO,
        title="Model",
        description="Name of a model, a .keras file, or auto: the one that fits each image best.",
        min_length=1,
    )
    channel: ChannelNumbers = Field(
        None,
        title="Channel",
        description="The channel that shows the cells, 1 for the first; of several, as in 1,3, their mean.",
        json_schema_extra={"none": "the first"},
    )
    pixel_size: float | None = Field(
        None,
        title="Pixel size",
        gt=0,
        description="Size of a pixel, if the file does not say it.",
        json_schema_extra={"unit": "µm", "none": "as the file says"},
    )
    axes: str | None = Field(
        None,
        title="Axes",
        description="Letters of the image's axes, as in TZCYX.",
        json_schema_extra={"none": "as the file says"},
    )
    views: int = Field(
        1,
        title="Views",
        ge=1,
        le=VIEWS,
        description="Average the network over so many turned and mirrored views: slower by as much, and a "
        "little better, most of all for membranes.",
    )

    @field_validator("axes")
    @classmethod
    def _write_large(cls, axes: str | None) -> str | None:
        return axes and axes.upper()


class BatchParams(Params):
    """Where the images of a batch are segmented."""

    workers: int | None = Field(
        None,
        title="Processes",
        ge=1,
        le=256,
        description="How many images are segmented at once; each process needs about 2 GB of memory.",
        json_schema_extra={"none": "automatic"},
    )
    scheduler: str | None = Field(
        None,
        title="Dask scheduler",
        description="Let the workers of a Dask cluster do it: the address of its scheduler, tcp://host:8786. "
        "They must see the same folders.",
        json_schema_extra={"none": "this computer"},
    )


class InstanceParams(Params):
    """How output maps become separate cells."""

    foreground: float = Field(
        0.5,
        title="Foreground threshold",
        ge=0.05,
        le=0.95,
        description="Lower finds larger and fainter cells.",
    )
    prominence: float = Field(
        0.25,
        title="Least prominence of a core",
        ge=0.1,
        le=0.9,
        description="Share of its height by which the landscape falls from a cell's core before it rises to "
        "another. Lower separates touching cells more readily.",
    )
    blend: float = Field(
        0.5,
        title="Foreground in the landscape",
        ge=0,
        le=1,
        description="Share of the foreground map in where cores are sought: for cells that are not round.",
    )
    min_area: float = Field(
        0.1,
        title="Smallest cell",
        ge=0,
        le=1,
        description="Share of a typical cell's area below which an object is dropped.",
        json_schema_extra=_unit("typical cell areas"),
    )
    certainty: float = Field(
        0.5,
        title="Least certainty",
        ge=0.5,
        le=1,
        description="Mean foreground probability below which an object is dropped; noise is never certain.",
    )

    @model_validator(mode="before")
    @classmethod
    def _forget_marker(cls, given: Any) -> Any:
        """Read what models of earlier versions say: they cut the landscape at one height for all cells."""
        if not isinstance(given, dict) or "marker" not in given:
            return given
        return {"blend": 0.0, **{name: value for name, value in given.items() if name != "marker"}}


class AugmentParams(Params):
    """Random changes made to training tiles so that few images teach much."""

    elastic_std: float = Field(
        10.0,
        title="Elastic displacement",
        ge=0,
        le=50,
        description="Standard deviation of the displacement vectors on the coarse grid (the paper's 10 px).",
        json_schema_extra=_unit("px"),
    )
    elastic_grid: int = Field(
        3, title="Elastic grid", ge=2, le=9, description="Displacement vectors per side (the paper's 3 x 3)."
    )
    rotate: bool = Field(True, title="Rotate", description="Any angle, and mirror images.")
    zoom: float = Field(
        1.5,
        title="Zoom",
        ge=1,
        le=4,
        description="Tiles are shrunk or enlarged by up to this factor.",
        json_schema_extra=_unit("x"),
    )
    contrast: float = Field(
        0.5, title="Contrast", ge=0, le=1, description="Strength of random slope, offset and gamma."
    )
    cell_contrast: float = Field(
        0.0,
        title="Contrast of each cell",
        ge=0,
        le=2,
        description="In half of the tiles each cell is made fainter or brighter by a factor of its own.",
    )
    restyle: float = Field(
        0.0,
        title="Restyled tiles",
        ge=0,
        le=1,
        description="Share of tiles in which the cells are rendered anew, as another kind of microscope "
        "might show them.",
    )
    invert: float = Field(
        0.0, title="Inverted", ge=0, le=1, description="Share of tiles shown as a negative."
    )
    blur: float = Field(
        1.0,
        title="Blur",
        ge=0,
        le=5,
        description="Largest Gaussian sigma; half of the tiles stay sharp.",
        json_schema_extra=_unit("px"),
    )
    noise: float = Field(
        0.05, title="Noise", ge=0, le=0.5, description="Largest added noise, as a share of the image's range."
    )
    blank: float = Field(
        0.0, title="Blank tiles", ge=0, le=0.5, description="Share of tiles of mere noise, without any cell."
    )
    shading: float = Field(
        0.3, title="Shading", ge=0, le=1, description="Largest smooth change of brightness across a tile."
    )


class TrainParams(Params):
    """Training a model from image and label folders."""

    steps: int = Field(9000, title="Steps", ge=1, description="Weight updates.")
    tile: int = Field(
        256,
        title="Tile",
        ge=32,
        le=1024,
        description="Side of a training tile.",
        json_schema_extra=_unit("px"),
    )
    batch: int = Field(4, title="Batch", ge=1, le=64, description="Tiles per step.")
    learning_rate: float = Field(
        1e-3, title="Learning rate", gt=0, le=1, description="Peak; falls to zero along a cosine."
    )
    optimizer: Literal["adam", "sgd"] = Field(
        "adam", title="Optimiser", description="'sgd' has the paper's momentum of 0.99."
    )
    warm_up: int = Field(100, title="Warm-up", ge=0, description="Steps over which the learning rate rises.")
    separation: float = Field(
        8.0,
        title="Border weight",
        ge=0,
        le=50,
        description="w0 of the paper's weight map: extra weight of gaps between neighbouring cells.",
    )
    separation_sigma: float = Field(
        5.0,
        title="Border width",
        gt=0,
        le=50,
        description="sigma of the paper's weight map.",
        json_schema_extra=_unit("px"),
    )
    average: float = Field(
        0.99, title="Weight averaging", ge=0, lt=1, description="Momentum of the running mean of the weights."
    )
    validate_every: int = Field(750, title="Validation interval", ge=1, description="Steps.")
    seed: int = Field(0, title="Seed", ge=0, description="Same seed, same data, same model.")
    augment: AugmentParams = AugmentParams(cell_contrast=1.0, invert=0.25, blank=0.05)


class Effort(NamedTuple):
    """How long to learn, as a choice: its name, and the seconds from the press to the new labels.

    With ``steps`` there are so many weight updates, however long they take.
    """

    title: str
    seconds: float
    steps: int | None = None

    @property
    def duration(self) -> str:
        """The time in words, or the number of steps."""
        if self.steps is not None:
            return f"{self.steps} steps"
        minutes = round(self.seconds / 60)
        return f"about {minutes} min" if minutes else f"about {self.seconds:.0f} s"


EFFORTS = {
    "quick": Effort("Quick", 20.0),
    "normal": Effort("Normal", 60.0),
    "thorough": Effort("Thorough", 300.0),
}
DEFAULT_EFFORT = "normal"


class FineTuneParams(Params):
    """Learning from a user's corrections: all that can be tuned about it."""

    steps: int | None = Field(
        None, title="Steps", ge=1, description="Weight updates; none means as many as the time allows."
    )
    seconds: float = Field(
        EFFORTS[DEFAULT_EFFORT].seconds,
        title="Effort",
        ge=1,
        le=3600,
        description="How long to learn, from the press of the button to the new labels.",
        json_schema_extra=_unit("s"),
    )
    seed: int = Field(0, title="Seed", ge=0, description="Same seed, same corrections, same model.")
    tile: int = Field(
        192,
        title="Tile",
        ge=32,
        le=1024,
        description="Side of a training tile.",
        json_schema_extra=_unit("px"),
    )
    batch: int = Field(4, title="Batch", ge=1, le=64, description="Tiles per step.")
    learning_rate: float = Field(
        1e-3, title="Learning rate", gt=0, le=1, description="Peak, for a parent that finds no cell."
    )
    least_rate: float = Field(
        0.1,
        title="Least rate",
        gt=0,
        le=1,
        description="Share of the learning rate that is left for a parent that makes no mistake: the rate "
        "falls with its mean AP on held-out corrections.",
    )
    warm_up: float = Field(
        0.1, title="Warm-up", ge=0, lt=1, description="Share of the steps in which the learning rate rises."
    )
    average: float = Field(
        0.95, title="Weight averaging", ge=0, lt=1, description="Momentum of the running mean of the weights."
    )
    rehearsed: float = Field(
        0.25,
        title="Rehearsal",
        ge=0,
        lt=1,
        description="Share of the tiles that show drawn scenes as the parent segments them, so that the new "
        "model does not forget them.",
    )
    separation: float = Field(
        4.0, title="Border weight", ge=0, le=50, description="Extra weight of gaps between cells."
    )
    separation_sigma: float = Field(
        5.0, title="Border width", gt=0, le=50, description="Of that weight.", json_schema_extra=_unit("px")
    )
    known: float = Field(
        0.35,
        title="Known from",
        ge=0,
        le=1,
        description="Mean AP on held-out corrections from which on the parent is said to know such cells: "
        "their scale and how they are split stay.",
    )
    cell_sizes: tuple[float, float] = Field(
        (12.0, 34.0),
        title="Cell sizes",
        description="Diameters that the network sees well; cells beyond are resized.",
        json_schema_extra=_unit("px"),
    )
    cell_size: float = Field(
        32.0,
        title="Cell size",
        gt=0,
        description="Diameter to which they are resized.",
        json_schema_extra=_unit("px"),
    )
    held_out: float = Field(
        0.25,
        title="Held out",
        ge=0.05,
        le=0.5,
        description="Share of the corrections kept aside to compare the old model with the new one.",
    )
    proving: float = Field(
        0.15,
        title="Proving",
        gt=0,
        lt=1,
        description="Share of the time for what the old model finds in held-out corrections.",
    )
    augment: AugmentParams = AugmentParams(zoom=1.3, invert=0.0)

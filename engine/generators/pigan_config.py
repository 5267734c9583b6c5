"""pi-GAN's options as plain data: what its files tell, and what only its data set tells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from engine.errors import UserError
from engine.generators.family_config import FamilyConfig, check_kinds

#: The box that the faces' and cats' fields stretch to -1 ... 1 has this side.
BOX_SIDE = 0.24
#: The two networks of the release; they differ in the box only.
BOXED, UNBOXED = "SPATIALSIRENBASELINE", "TALLSIREN"
#: Most even samples on a ray that the setting offers.
MAX_STEPS = 192


@dataclass(frozen=True)
class DataSet:
    """How the authors trained on and drew one data set; no checkpoint of theirs says so.

    Attributes:
        title: for people.
        near, far: limits of the rays for a camera at distance 1.
        steps: even samples on a ray, and as many importance samples.
        fov_y: degrees.
        last_back, white_back: what the light that is left over becomes when a picture is drawn.
        pitch: of the default pose, degrees.
        yaw_range, pitch_range: degrees; of gaussian poses two standard deviations.
    """

    title: str
    near: float
    far: float
    steps: int
    fov_y: float = 12.0
    last_back: bool = True
    white_back: bool = False
    pitch: float = 0.0
    yaw_range: tuple[float, float] = (-34.4, 34.4)
    pitch_range: tuple[float, float] = (-17.8, 17.8)

    @property
    def half(self) -> float:
        """Half the depth that rays pass, and so half the side of the field's box."""
        return (self.far - self.near) / 2.0


DATA_SETS: dict[str, DataSet] = {
    "celeba": DataSet("CelebA", 0.88, 1.12, 12),
    "cats": DataSet("Cats", 0.8, 1.2, 24, yaw_range=(-28.6, 28.6), pitch_range=(-22.9, 22.9)),
    # Poses all around the upper half of a sphere; half of them are below 32 degrees.
    "carla": DataSet("CARLA", 0.7, 1.3, 48, 30.0, False, True, 30.0, (-180.0, 180.0), (3.0, 85.0)),
}


@dataclass(frozen=True)
class PiGANConfig(FamilyConfig):
    """Everything that defines a pi-GAN network and how it is drawn.

    Attributes:
        siren: the authors' class of the field.
        z_dim, hidden, layers: length of the latent, width and number of the sine layers in
            front of the density (the colour has one more).
        mapping_width, mapping_layers: hidden layers of the mapping.
        point_scale: factor on points before the first layer (2 / 0.24 with the box, else 1).
        stored_averages: the file holds the averages that truncation leads to.
        data_set: a key of :data:`DATA_SETS`: limits of the rays, poses and background.
        steps: even samples on a ray, and as many importance samples.
        resolution: side of the picture in pixels. The field has none; 256 is what the authors'
            scripts draw.
        last_back, white_back: what the light that is left over becomes: the last sample's, or
            white.
        lock_view_dependence: colours are those seen straight from the front.
        mesh_level: raw density at which a mesh is cut by default; at 10, one step of the
            CelebA model's training holds back a fifth of the light.

    Raises:
        UserError: the options contradict each other.
    """

    title = "pi-GAN"

    siren: str = BOXED
    z_dim: int = 256
    hidden: int = 256
    layers: int = 8
    mapping_width: int = 256
    mapping_layers: int = 3
    point_scale: float = 2.0 / BOX_SIDE
    stored_averages: bool = False
    data_set: str = "celeba"
    steps: int = 12
    resolution: int = 256
    last_back: bool = True
    white_back: bool = False
    lock_view_dependence: bool = False
    mesh_level: float = 10.0

    def __post_init__(self) -> None:
        check_kinds(self)
        if self.data_set not in DATA_SETS:
            raise UserError(
                f"pi-GAN's data set {self.data_set!r} is unknown; it is one of "
                f"{', '.join(DATA_SETS)}."
            )
        small = [
            name
            for name in ("z_dim", "hidden", "layers", "mapping_width", "mapping_layers")
            if getattr(self, name) < 1
        ]
        if small:
            raise UserError(f"A pi-GAN needs {small[0]} of at least 1.")
        if not 4 <= self.steps <= MAX_STEPS:
            raise UserError(f"A pi-GAN takes 4 to {MAX_STEPS} steps along a ray, not {self.steps}.")
        if not 4 <= self.resolution <= 8192:
            raise UserError(f"A picture has 4 to 8192 pixels a side, not {self.resolution}.")
        if not self.point_scale > 0.0:
            raise UserError(f"The factor on points must be above 0, not {self.point_scale:g}.")

    @property
    def rows(self) -> int:
        """Rows of w: one for every sine layer, the colour's last."""
        return self.layers + 1

    @property
    def data(self) -> DataSet:
        """The data set's own numbers."""
        return DATA_SETS[self.data_set]

    def of_data_set(self, name: str) -> Self:
        """The same network drawn as the authors draw a data set."""
        data = DATA_SETS[name]
        return replace(
            self,
            data_set=name,
            steps=data.steps,
            last_back=data.last_back,
            white_back=data.white_back,
        )


#: The three released models; all have the same sizes.
RELEASED: dict[str, PiGANConfig] = {
    "celeba": PiGANConfig().of_data_set("celeba"),
    "cats": PiGANConfig().of_data_set("cats"),
    "carla": PiGANConfig(siren=UNBOXED, point_scale=1.0).of_data_set("carla"),
}

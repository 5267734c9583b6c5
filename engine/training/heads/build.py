"""From a person to meshes, with the data of a head pack.

The **head frame** (dm) has its origin 0.13 below and 0.82 behind the point between the
eyes of the person without an expression, and is scaled so that the heights of heads differ
less than they do in life. :func:`engine.training.heads.world.to_world` takes it to the
model's world.
"""

from __future__ import annotations

import json
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from engine.errors import UserError
from engine.training.heads import catalogue as cat
from engine.training.heads.accessories import GlassesStyle, glasses
from engine.training.heads.attributes import HeadAttributes
from engine.training.heads.hair import SWEPT, Sweep, shells
from engine.training.heads.headwear import Tuck, make_hat
from engine.training.heads.mesh import Head, Label, Material, Mesh, Occluder
from engine.training.heads.pack import HeadPack, Surface, flat_uv
from engine.training.heads.regions import SkinRegions
from engine.training.heads.shape import expression_weights, shape_weights
from engine.training.heads.world import UNIT_DM, to_world

Floats = NDArray[np.float32]
#: First vertex of the upper teeth in MakeHuman's base mesh.
_UPPER_TEETH = 15060


def cap_color(person: HeadAttributes) -> tuple[float, ...]:
    """Linear colour of the flat surface where the bust is cut off: the cloth in shade."""
    return tuple(0.3 * c for c in person.cloth_color)


def skin_labels() -> tuple[float, ...]:
    """What the skin is called: where it is bare, on the lips, under a beard, under hair."""
    return tuple(float(v) for v in (Label.SKIN, Label.LIPS, Label.SKIN, Label.SKIN))


class HeadBuilder:
    """Builds heads from a pack; keeps what all heads share.

    Raises:
        UserError: the pack lacks a file.
    """

    def __init__(self, pack: HeadPack) -> None:
        self.pack = pack
        self.regions = SkinRegions(pack)
        self.texture_mean = cache(self._texture_mean)

    @cached_property
    def _skin_means(self) -> dict[str, tuple[float, float, float]]:
        path = self.pack.folder / "skin_mean_linear.json"
        try:
            return {k: tuple(v) for k, v in json.loads(path.read_text()).items()}
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}).") from error

    def _texture_mean(self, name: str) -> float:
        """Mean linear luminance of a texture, over what is not transparent."""
        pixels = self.pack.image(name).astype(np.float32) / 255.0
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            return max(float((pixels[..., 0] ** 2.2)[pixels[..., 3] > 0.5].mean()), 0.02)
        weights = np.array([0.3, 0.5, 0.2], np.float32)
        return max(float(((pixels**2.2) @ weights).mean()), 0.02)

    @cached_property
    def _ear(self) -> int:
        """The refined vertex where the left ear stands out most."""
        p = (self.pack.body.refine @ self.pack.base).astype(np.float32)
        near = (np.abs(p[:, 1] - 7.3) < 0.25) & (p[:, 2] < 0.9) & (p[:, 2] > 0.2)
        return int(np.argmax(p[:, 0] * near * (np.abs(p[:, 0]) < 1.2)))

    def build(self, person: HeadAttributes) -> Head:
        """The person's meshes in world units."""
        pack = self.pack
        weights = shape_weights(person)
        calm = pack.morph(weights)
        base = pack.morph({**weights, **expression_weights(person)})
        left, right = pack.joint(calm, "l-eye"), pack.joint(calm, "r-eye")
        height = float(pack.joint(calm, "head-2")[1] - pack.joint(calm, "jaw")[1])
        scale = (2.04 / height) ** 0.95
        origin = (left + right) / 2 - np.array([0.0, 0.13, 0.82], np.float32)
        base = ((base - origin) * scale).astype(np.float32)
        eyes = ((left - origin) * scale, (right - origin) * scale)
        fine = (pack.body.refine @ base).astype(np.float32)
        normal = pack.body.normals(fine)[pack.body.vertex]
        position = fine[pack.body.vertex]
        hat: list[Mesh] = []
        tuck: Tuck | None = None
        if person.hat != "none":
            hat, tuck = make_hat(person.hat, person.hat_color, fine, pack, base)
        meshes = [self._skin(person, base, position, normal, tuck), *hat]
        eye_mesh, centers = self._eyes(person, base)
        meshes += [eye_mesh, *self._mouth(person, base), self._garment(person, base)]
        meshes += self._hair(person, base, position, normal, eyes, tuck)
        if person.beard in ("full beard", "goatee", "moustache"):
            length = 0.016 + 0.028 * person.beard_length
            meshes += shells(
                pack.body,
                position,
                normal,
                self.regions.beards[person.beard],
                length=length if person.beard == "full beard" else 0.8 * length,
                layers=4,
                density=0.92,
                color=person.beard_color,
                label=Label.BEARD,
            )
        meshes += self._cards(person, base)
        if person.glasses != "none":
            style = GlassesStyle(person.glasses, person.glasses_size, person.frame_color)
            meshes += glasses(style, eyes, fine[self._ear], fine)
        ahead = np.array([0.0, 0.0, 1.0], np.float32)
        return Head(meshes, (to_world(centers[0]), to_world(centers[1])), (ahead, ahead))

    def _skin(
        self, p: HeadAttributes, base: Floats, position: Floats, normal: Floats, tuck: Tuck | None
    ) -> Mesh:
        body = self.pack.body
        beard = self.regions.beards[p.beard]
        mask = np.stack([self.regions.lips, beard, self.regions.scalp, self.regions.blush], 1)
        hidden = self.pack.covered(p.garment).astype(np.float32)
        hidden_fine = (body.refine @ hidden)[body.vertex] > 0.999
        if tuck is not None:
            hidden_fine = hidden_fine | tuck.hides(position)
        triangles = body.triangles[~hidden_fine[body.triangles].all(1)]
        stubble = {"none": 0.0, "stubble": 0.22 + 0.3 * p.beard_length}.get(p.beard, 0.6)
        scalp = {"bald": 0.0, "buzz": 0.9}.get(p.hair_style, 0.85)
        return Mesh(
            Surface(to_world(position), normal, body.uv, triangles),
            Material.SKIN,
            Label.SKIN,
            texture=p.skin_texture,
            mask=mask.astype(np.float32),
            occluder=Occluder(to_world(base), flat_uv(len(base)), body.coarse_triangles),
            bias=0.02 / UNIT_DM,
            softness=0.05 / UNIT_DM,
            lift=0.02 / UNIT_DM,
            uniforms={
                "labels": skin_labels(),
                "tone": p.skin_tone,
                "texture_mean": self._skin_means[p.skin_texture],
                "ink": p.hair_color,
                "ink2": p.beard_color,
                "cap": cap_color(p),
                "knobs": (scalp, stubble, 1.0, 0.6 if p.gender == "female" else 0.3),
                "knobs2": (*p.lip_color, 0.6 if p.lipstick else 0.0),
            },
        )

    def _proxy(self, name: str, base: Floats) -> Surface:
        proxy = self.pack.proxy(name)
        return proxy.surface(proxy.fit(base))

    def _eyes(self, p: HeadAttributes, base: Floats) -> tuple[Mesh, tuple[Floats, Floats]]:
        """Eyeballs without their cornea shells; both look straight ahead."""
        surface = self._proxy("eyes", base)
        points, ball = surface.position.copy(), surface.uv[:, 0] < 0.87
        if p.expression == "eyes closed":
            points[:, 2] -= 0.03  # A closed lid is thin; the ball must not show through.
        centers = []
        for sign in (1, -1):
            own = points[(points[:, 0] * sign > 0) & ball]
            center = (own.max(0) + own.min(0)) / 2
            center[2] = own[:, 2].max() - (own[:, 0].max() - own[:, 0].min()) / 2
            centers.append(center)
        normal = np.where(points[:, :1] > 0, points - centers[0], points - centers[1])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        triangles = surface.triangles[ball[surface.triangles].all(1)]
        # The pack's brown irises are dark and warm; the others a little too saturated.
        tint = {"brown": (0.72, 0.84, 0.66), "brownlight": (0.9, 0.92, 0.86)}
        mesh = Mesh(
            Surface(to_world(points), normal.astype(np.float32), surface.uv, triangles),
            Material.EYE,
            Label.EYE,
            texture=f"eye_{p.eye_color}.jpg",
            bias=0.004 / UNIT_DM,
            softness=0.05 / UNIT_DM,
            uniforms={
                "knobs": (0.76, 0.8, 0.0, 0.0),
                "ink2": tint.get(p.eye_color, (0.98, 0.99, 1.0)),
            },
        )
        return mesh, (centers[0].astype(np.float32), centers[1].astype(np.float32))

    def _mouth(self, p: HeadAttributes, base: Floats) -> list[Mesh]:
        """Teeth, moved behind the lips they would otherwise pierce, and the tongue."""
        proxy = self.pack.proxy("teeth")
        surface = self._proxy("teeth", base)
        original = self.pack.data["orig_index"][proxy.base_index]
        upper = (original >= _UPPER_TEETH).mean(1) > 0.5
        points = surface.position.copy()
        points[upper] += np.array([0.0, -0.075, 0.015], np.float32)
        points[~upper, 1] -= 0.12
        triangles = surface.triangles
        if p.expression not in ("calm", "eyes closed"):
            # A dropped jaw takes the lower teeth through the chin, and they are not seen.
            triangles = triangles[upper[triangles].all(1)]
            points[:, 2] -= 0.04
        teeth = Surface(to_world(points), surface.normal, surface.uv, triangles)
        return [
            Mesh(
                teeth,
                Material.MOUTH,
                Label.MOUTH,
                texture="teeth.jpg",
                occluder=Occluder(teeth.position, teeth.uv, teeth.triangles),
                bias=0.02 / UNIT_DM,
                softness=0.1 / UNIT_DM,
                uniforms={"tone": (1.0, 0.95, 0.88), "knobs": (1.4, 0.0, 0.0, 0.0)},
            )
        ]

    def _cards(self, p: HeadAttributes, base: Floats) -> list[Mesh]:
        """Eyebrows and eyelashes: thin cards with an alpha picture."""
        brow_name = f"brow{p.brow_model:03d}"
        brow, lash = self._proxy(brow_name, base), self._proxy("lashes02", base)
        return [
            Mesh(
                Surface(
                    to_world(brow.position + brow.normal * 0.006),
                    brow.normal,
                    brow.uv,
                    brow.triangles,
                ),
                Material.CARD,
                Label.BROW,
                texture=f"{brow_name}.png",
                bias=0.04 / UNIT_DM,
                softness=0.06 / UNIT_DM,
                uniforms={"ink": p.brow_color, "knobs": (0.95, 0.0, 0.0, 0.0)},
            ),
            Mesh(
                Surface(to_world(lash.position), lash.normal, lash.uv, lash.triangles),
                Material.CARD,
                Label.BROW,
                texture="lashes02.png",
                bias=0.1 / UNIT_DM,
                softness=0.1 / UNIT_DM,
                uniforms={
                    "ink": (0.012, 0.009, 0.008),
                    "knobs": (0.7 if p.gender == "female" else 0.35, 0.0, 0.0, 0.0),
                },
            ),
        ]

    def _hair(
        self,
        p: HeadAttributes,
        base: Floats,
        position: Floats,
        normal: Floats,
        eyes: tuple[Floats, Floats],
        tuck: Tuck | None,
    ) -> list[Mesh]:
        if p.hair_style == "bald":
            return []
        if p.hair_style == "buzz":
            grows = self.regions.scalp
            return shells(
                self.pack.body,
                position,
                normal,
                grows if tuck is None else grows * ~tuck.hides(position),
                length=0.03,
                layers=4,
                density=1.25,
                color=p.hair_color,
                label=Label.HAIR,
            )
        name = f"hair_{p.hair_style}"
        proxy = self.pack.proxy(name)
        coarse = proxy.fit(base)
        flip = np.array([-1.0 if p.hair_mirrored else 1.0, 1.0, 1.0], np.float32)
        if p.hair_style in SWEPT:
            level = float(eyes[0][1])
            sweep = Sweep(level + 0.75, level - 0.25, SWEPT[p.hair_style] + 0.12 * p.hair_parting)
            coarse = sweep(coarse)
        coarse = coarse * flip
        surface = proxy.surface(coarse)
        points, triangles, shadow = surface.position, surface.triangles, proxy.coarse_triangles
        if tuck is not None:
            triangles = triangles[~tuck.hides(points)[triangles].all(1)]
            shadow = shadow[~tuck.hides(coarse)[shadow].all(1)]
            points, coarse = tuck(points), tuck(coarse)
        texture = f"{name}.png"
        return [
            Mesh(
                Surface(
                    to_world(points),
                    surface.normal * flip[0],
                    surface.uv,
                    triangles,
                ),
                Material.HAIR,
                Label.HAIR,
                texture=texture,
                occluder=Occluder(to_world(coarse), proxy.coarse_uv, shadow, texture),
                bias=0.05 / UNIT_DM,
                softness=0.22 / UNIT_DM,
                lift=0.03 / UNIT_DM,
                uniforms={
                    "ink": p.hair_color,
                    "knobs": (self.texture_mean(texture), 60.0, 0.8, 0.0),
                },
            )
        ]

    def _garment(self, p: HeadAttributes, base: Floats) -> Mesh:
        surface = self._proxy(p.garment, base)
        texture = None if p.garment in cat.PLAIN_GARMENTS else f"{p.garment}.jpg"
        mean = 1.0 if texture is None else self.texture_mean(texture)
        points = to_world(surface.position + surface.normal * 0.01)
        return Mesh(
            Surface(points, surface.normal, surface.uv, surface.triangles),
            Material.CLOTH,
            Label.CLOTH,
            texture=texture,
            occluder=Occluder(points, flat_uv(len(points)), surface.triangles),
            bias=0.03 / UNIT_DM,
            softness=0.08 / UNIT_DM,
            lift=0.02 / UNIT_DM,
            uniforms={
                "ink": p.cloth_color,
                "cap": cap_color(p),
                "knobs": (mean, 0.75 if texture else 1.0, 0.35 + 0.9 * p.cloth_pattern, 0.0),
            },
        )

"""Drawing heads with OpenGL 3.3 through EGL: colour, distance and labels.

No display is needed: Mesa's llvmpipe serves a machine without a graphics card. A head is
uploaded once; its light is gathered once and shared by its views; colour and
distance/label are each read back once for all views.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.camera import Camera
from engine.errors import UserError
from engine.training.heads import lighting, shaders
from engine.training.heads.mesh import BLENDED, Head, Label, Material, Mesh
from engine.training.heads.world import view_projection

Floats = NDArray[np.float32]
ImageSource = Callable[[str], NDArray[np.uint8]]
LightFilter = Callable[[Floats], Floats]

_DEFAULTS: dict[str, tuple[float, ...]] = {
    "tone": (1.0, 1.0, 1.0),
    "texture_mean": (1.0, 1.0, 1.0),
    "ink": (0.5, 0.5, 0.5),
    "ink2": (0.5, 0.5, 0.5),
    "cap": (0.1, 0.1, 0.1),
    "knobs": (0.0, 0.0, 0.0, 0.0),
    "knobs2": (0.0, 0.0, 0.0, 0.0),
}


@dataclass(frozen=True)
class Views:
    """What was drawn of one head, ``V`` views of ``R x R`` pixels, row 0 at the top.

    Attributes:
        rgba: ``[V, R, R, 4]`` uint8, sRGB values premultiplied by coverage (over black).
        depth: ``[V, R, R]`` float16, distance from the camera along the ray through the
            pixel's centre, world units; 0 where that ray meets nothing.
        labels: ``[V, R, R]`` uint8, :class:`engine.training.heads.mesh.Label`.
    """

    rgba: NDArray[np.uint8]
    depth: NDArray[np.float16]
    labels: NDArray[np.uint8]


class Renderer:
    """One OpenGL context that draws heads. Use it from one thread; call :meth:`close`.

    Args:
        size: pixels along a side. supersampling: samples along a pixel's side, 1 to 4.
        images: gives a texture by its name. skin_light: applied to the gathered light of a
            head's first mesh (``[N, 3]``), None leaves it.

    Raises:
        UserError: no OpenGL 3.3 context can be made, or a size is out of range.
    """

    def __init__(
        self,
        size: int,
        supersampling: int,
        images: ImageSource,
        skin_light: LightFilter | None = None,
    ) -> None:
        if not 16 <= size <= 1024 or not 1 <= supersampling <= 4:
            raise UserError(
                f"A picture of {size} pixels with {supersampling} x {supersampling} samples cannot "
                "be drawn; choose 16 to 1024 pixels and 1 to 4 samples."
            )
        self.size, self.factor = size, supersampling
        self._images, self._skin_light = images, skin_light
        self._studio = lighting.studio()
        self._gl = gl = _moderngl()
        try:
            self._ctx = ctx = gl.create_context(standalone=True, backend="egl", require=330)
        except Exception as error:
            raise UserError(
                f"OpenGL 3.3 through EGL is not available ({error}); install libegl1 and "
                "libgl1-mesa-dri, or a graphics driver."
            ) from error
        side = size * supersampling
        self._samples = ctx.texture((side, side), 4)
        self._big = ctx.framebuffer([self._samples], ctx.depth_renderbuffer((side, side)))
        self._shade = ctx.program(shaders.VERTEX, shaders.FRAGMENT)
        self._aux = ctx.program(shaders.AUX_VERTEX, shaders.AUX_FRAGMENT)
        self._caster = ctx.program(shaders.CASTER_VERTEX, shaders.CASTER_FRAGMENT)
        count = len(self._studio.directions)
        source = shaders.bake_vertex(count, lighting.COLUMNS, lighting.TILE, 2 * lighting.REACH)
        self._bake = ctx.program(source, varyings=["irradiance", "visibility"])
        self._resolve = ctx.program(shaders.RESOLVE_VERTEX, shaders.RESOLVE_FRAGMENT)
        self._resolve_all = ctx.vertex_array(self._resolve, [])
        grid_rows = -(-count // lighting.COLUMNS)
        shape = (lighting.TILE * lighting.COLUMNS, lighting.TILE * grid_rows)
        self._atlas = ctx.depth_texture(shape)
        self._atlas.compare_func = ""
        self._atlas.filter = (gl.NEAREST, gl.NEAREST)
        self._atlas_target = ctx.framebuffer([], self._atlas)
        self._textures: dict[str, Any] = {}
        self._white = ctx.texture((1, 1), 4, b"\xff" * 4)
        self._targets: dict[int, tuple[Any, Any]] = {}
        self._set_light()

    @property
    def device(self) -> str:
        """The OpenGL renderer's own name."""
        return str(self._ctx.info["GL_RENDERER"])

    def close(self) -> None:
        """Give the context back."""
        self._ctx.release()

    def _set_light(self) -> None:
        studio = self._studio
        self._bake["rows"].write(studio.rows.tobytes())
        self._bake["radiance"].write(studio.radiance.tobytes())
        self._bake["share"].write(studio.share.tobytes())
        lamps = lighting.LAMPS
        self._shade["lamp"].write(np.array([a.direction for a in lamps], np.float32).tobytes())
        self._shade["lamp_color"].write(np.array([a.color for a in lamps], np.float32).tobytes())
        self._shade["lamp_size"].write(np.array([a.size for a in lamps], np.float32).tobytes())
        self._shade["sky"], self._shade["ground"] = lighting.SKY, lighting.GROUND

    def render(self, head: Head, cameras: Sequence[Camera]) -> Views:
        """All views of one head."""
        gl, ctx = self._gl, self._ctx
        scene = _Scene(ctx, self._shade, self._aux, self._bake, head)
        try:
            self._gather_light(scene, head)
            color, aux = self._target(len(cameras))
            ctx.enable(gl.DEPTH_TEST)
            self._shade["eye_center"].write(np.stack(head.eye_centers).astype("f4").tobytes())
            self._shade["eye_axis"].write(np.stack(head.eye_axes).astype("f4").tobytes())
            aux.use()
            aux.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
            for i, camera in enumerate(cameras):
                self._draw_aux(i, scene, head, camera)
            for i, camera in enumerate(cameras):
                self._draw_color(color, i, scene, head, camera)
            return self._read(color, aux, len(cameras))
        finally:
            scene.release()

    def _target(self, views: int) -> tuple[Any, Any]:
        """Framebuffers that hold all views, one below the other."""
        if views not in self._targets:
            for pair in self._targets.values():
                for target in pair:
                    target.release()
            self._targets.clear()
            ctx, shape = self._ctx, (self.size, self.size * views)
            color = ctx.framebuffer([ctx.renderbuffer(shape, 4)])
            aux = ctx.framebuffer(
                [ctx.renderbuffer(shape, 2, dtype="f4")], ctx.depth_renderbuffer(shape)
            )
            self._targets[views] = (color, aux)
        return self._targets[views]

    def _gather_light(self, scene: _Scene, head: Head) -> None:
        """Depth maps of all directions, then every vertex's light by transform feedback."""
        ctx, gl, tile = self._ctx, self._gl, lighting.TILE
        casters = _Casters(ctx, self._caster, head.meshes)
        try:
            self._atlas_target.use()
            self._atlas_target.clear(depth=1.0)
            ctx.enable(gl.DEPTH_TEST)
            ctx.disable(gl.BLEND)
            for k, rows in enumerate(self._studio.rows):
                column, row = k % lighting.COLUMNS, k // lighting.COLUMNS
                ctx.viewport = (column * tile, row * tile, tile, tile)
                self._caster["light_rows"].write(rows.tobytes())
                for texture, first, count in casters.parts:
                    self._caster["cut_out"] = int(texture is not None)
                    (self._texture(texture) if texture else self._white).use(0)
                    casters.array.render(gl.TRIANGLES, vertices=count, first=first)
        finally:
            casters.release()
        # The atlas is read now, so it must not stay the current depth buffer.
        self._big.use()
        self._atlas.use(0)
        for mesh, start, count in scene.vertex_ranges:
            wrap, gain, extra = lighting.response(mesh.material)
            self._bake["wrap"], self._bake["gain"] = wrap, gain
            self._bake["extra"] = tuple(extra * c for c in lighting.SKY)
            self._bake["bias"] = mesh.bias
            self._bake["softness"], self._bake["lift"] = mesh.softness, mesh.lift
            scene.bake_array.transform(
                scene.light, gl.POINTS, vertices=count, first=start, buffer_offset=start * 24
            )
        if self._skin_light is not None:
            count = scene.vertex_ranges[0][2]
            raw = np.frombuffer(scene.light.read(count * 24), np.float32).reshape(count, 6).copy()
            raw[:, :3] = self._skin_light(raw[:, :3])
            scene.light.write(raw.tobytes())

    def _texture(self, name: str) -> Any:
        if name not in self._textures:
            pixels = np.ascontiguousarray(self._images(name)[::-1])
            channels = 1 if pixels.ndim == 2 else pixels.shape[2]
            shape = (pixels.shape[1], pixels.shape[0])
            texture = self._ctx.texture(shape, channels, pixels.tobytes(), alignment=1)
            texture.build_mipmaps()
            texture.filter = (self._gl.LINEAR_MIPMAP_LINEAR, self._gl.LINEAR)
            self._textures[name] = texture
        return self._textures[name]

    def _bind(self, program: Any, mesh: Mesh) -> None:
        """Texture and uniforms of one mesh; a program lacks what it does not use."""
        (self._texture(mesh.texture) if mesh.texture else self._white).use(0)
        own = float(mesh.label)
        values = {**_DEFAULTS, "labels": (own, own, own, own), **mesh.uniforms}
        values["material"] = int(mesh.material)
        for name, value in values.items():
            if name in program:
                program[name] = value

    def _look(self, program: Any, camera: Camera) -> None:
        program["view_projection"].write(view_projection(camera).T.tobytes())
        program["eye"] = tuple(float(v) for v in camera.position)

    def _draw_aux(self, index: int, scene: _Scene, head: Head, camera: Camera) -> None:
        self._ctx.viewport = (0, index * self.size, self.size, self.size)
        self._ctx.disable(self._gl.BLEND)
        self._look(self._aux, camera)
        for mesh, first, count in scene.index_ranges:
            if mesh.label != Label.NOTHING:
                self._bind(self._aux, mesh)
                scene.aux_array.render(self._gl.TRIANGLES, vertices=count, first=first)

    def _draw_color(
        self, target: Any, index: int, scene: _Scene, head: Head, camera: Camera
    ) -> None:
        gl, ctx = self._gl, self._ctx
        self._big.use()
        self._big.depth_mask = True
        ctx.viewport = (0, 0, *self._samples.size)
        self._big.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        ctx.enable(gl.DEPTH_TEST)
        ctx.disable(gl.BLEND)
        self._look(self._shade, camera)
        self._shade["fringe"] = 0
        for mesh, first, count in scene.index_ranges:
            if mesh.material not in BLENDED or mesh.material == Material.HAIR:
                self._bind(self._shade, mesh)
                scene.shade_array.render(gl.TRIANGLES, vertices=count, first=first)
        ctx.enable(gl.BLEND)
        ctx.blend_func = (gl.ONE, gl.ONE_MINUS_SRC_ALPHA)
        self._big.depth_mask = False
        self._shade["fringe"] = 1
        for material in BLENDED:
            for mesh, first, count in scene.index_ranges:
                if mesh.material == material:
                    self._bind(self._shade, mesh)
                    scene.shade_array.render(gl.TRIANGLES, vertices=count, first=first)
        self._big.depth_mask = True
        ctx.disable(gl.BLEND)
        target.use()
        ctx.viewport = (0, index * self.size, self.size, self.size)
        self._samples.use(0)
        self._resolve["factor"], self._resolve["corner"] = self.factor, (0, index * self.size)
        self._resolve_all.render(gl.TRIANGLES, vertices=3)

    def _read(self, color: Any, aux: Any, views: int) -> Views:
        """Pictures top row first; the framebuffers hold views upwards, rows upwards."""
        size, whole = self.size, (0, 0, self.size, self.size * views)
        self._ctx.viewport = whole
        rgba = np.frombuffer(color.read(whole, 4, alignment=1), np.uint8)
        values = np.frombuffer(aux.read(whole, 2, alignment=1, dtype="f4"), np.float32)
        values = values.reshape(views, size, size, 2)[:, ::-1]
        return Views(
            np.ascontiguousarray(rgba.reshape(views, size, size, 4)[:, ::-1]),
            np.ascontiguousarray(values[..., 0]).astype(np.float16),
            np.ascontiguousarray(values[..., 1]).astype(np.uint8),
        )


class _Scene:
    """A head's meshes in one vertex and one index buffer."""

    def __init__(self, ctx: Any, shade: Any, aux: Any, bake: Any, head: Head) -> None:
        vertices, indices = [], []
        self.vertex_ranges: list[tuple[Mesh, int, int]] = []
        self.index_ranges: list[tuple[Mesh, int, int]] = []
        start = first = 0
        for mesh in head.meshes:
            s, count = mesh.surface, len(mesh.surface.position)
            mask = mesh.mask if mesh.mask is not None else np.zeros((count, 4), np.float32)
            vertices.append(np.concatenate([s.position, s.normal, s.uv, mask], 1, dtype=np.float32))
            indices.append(s.triangles.astype(np.int32) + start)
            self.vertex_ranges.append((mesh, start, count))
            self.index_ranges.append((mesh, first, s.triangles.size))
            start, first = start + count, first + s.triangles.size
        vbo = ctx.buffer(np.concatenate(vertices).tobytes())
        ibo = ctx.buffer(np.concatenate(indices).astype(np.int32).tobytes())
        self.light = ctx.buffer(reserve=start * 24)
        self.shade_array = ctx.vertex_array(
            shade,
            [
                (vbo, "3f 3f 2f 4f", "position", "normal", "uv", "mask"),
                (self.light, "3f 3f", "irradiance", "visibility"),
            ],
            ibo,
        )
        self.aux_array = ctx.vertex_array(
            aux, [(vbo, "3f 12x 2f 4f", "position", "uv", "mask")], ibo
        )
        self.bake_array = ctx.vertex_array(bake, [(vbo, "3f 3f 24x", "position", "normal")])
        self._own = [self.shade_array, self.aux_array, self.bake_array, vbo, ibo, self.light]

    def release(self) -> None:
        for item in self._own:
            item.release()


class _Casters:
    """All occluders in one vertex and one index buffer; parts share a texture."""

    def __init__(self, ctx: Any, program: Any, meshes: list[Mesh]) -> None:
        # The arrays start with an empty one, so that no occluder at all is no special case.
        vertices, indices = [np.zeros((1, 5), np.float32)], [np.zeros((1, 3), np.int32)]
        self.parts: list[tuple[str | None, int, int]] = []
        start, first = 1, 3
        for mesh in meshes:
            o = mesh.occluder
            if o is None:
                continue
            vertices.append(np.concatenate([o.position, o.uv], 1, dtype=np.float32))
            indices.append(o.triangles.astype(np.int32) + start)
            self.parts.append((o.texture, first, o.triangles.size))
            start, first = start + len(o.position), first + o.triangles.size
        vbo = ctx.buffer(np.concatenate(vertices).tobytes())
        ibo = ctx.buffer(np.concatenate(indices).astype(np.int32).tobytes())
        self.array = ctx.vertex_array(program, [(vbo, "3f 2f", "position", "uv")], ibo)
        self._own = [self.array, vbo, ibo]

    def release(self) -> None:
        for item in self._own:
            item.release()


def _moderngl() -> Any:
    try:
        import moderngl
    except ImportError as error:
        raise UserError(
            "Drawing heads needs moderngl; install Maquette with its extra 'train'."
        ) from error
    return moderngl

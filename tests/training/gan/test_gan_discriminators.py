"""The discriminators against their description, pixel by pixel in double precision."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from engine.training.gan.discriminator_blocks import block_widths, minibatch_deviation, narrowed
from engine.training.gan.discriminator_coord import CoordDiscriminator
from engine.training.gan.discriminator_equal import MultiScaleDiscriminator, PlacedDiscriminator
from engine.training.gan.discriminator_patch import PatchDiscriminator
from engine.training.gan.discriminator_residual import ResidualDiscriminator
from engine.training.gan.discriminator_skip import SkipDiscriminator
from tests.training.gan.checks import seeded

TAPS = [1.0, 3.0, 3.0, 1.0]
WIDTHS = {16: 3, 8: 4, 4: 5}


def convolved(x: Tensor, weight: Tensor, padding: int, stride: int = 1) -> Tensor:
    """``[C, H, W]`` by plain sums over shifted pictures."""
    size = weight.shape[2]
    c, h, w = x.shape
    wide = torch.zeros(c, h + 2 * padding, w + 2 * padding, dtype=torch.float64)
    wide[:, padding : padding + h, padding : padding + w] = x
    high, broad = wide.shape[1] - size + 1, wide.shape[2] - size + 1
    out = torch.zeros(weight.shape[0], high, broad, dtype=torch.float64)
    for row in range(size):
        for column in range(size):
            part = wide[:, row : row + high, column : column + broad]
            out += torch.einsum("oi,ihw->ohw", weight[:, :, row, column], part)
    return out[:, ::stride, ::stride]


def blurred(x: Tensor, padding: int) -> Tensor:
    """Every channel by the outer product of 1, 3, 3, 1, which adds up to one."""
    kernel = torch.tensor([[a * b / 64.0 for a in TAPS] for b in TAPS], dtype=torch.float64)
    return torch.stack([convolved(c[None], kernel[None, None], padding)[0] for c in x])


def lrelu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2.0)


class Literal:
    """A residual or skip discriminator of NVIDIA's lineage, one picture at a time."""

    def __init__(self, network: nn.Module) -> None:
        self.t = {name: t.detach().double() for name, t in network.state_dict().items()}

    def layer(self, x: Tensor, name: str, down: bool = False, active: bool = True) -> Tensor:
        weight = self.t[f"{name}.weight"]
        weight = weight / math.sqrt(weight[0].numel())
        border = weight.shape[2] // 2
        if down:
            # The filter's overhang on both sides: 4 taps for 2 pixels.
            x = convolved(blurred(x, border + 1), weight, 0, 2)
        else:
            x = convolved(x, weight, border)
        if f"{name}.bias" in self.t:
            x = x + self.t[f"{name}.bias"][:, None, None]
        return lrelu(x) if active else x

    def residual(
        self, x: Tensor, name: str, down: bool = True, told: Tensor | None = None
    ) -> Tensor:
        skip = self.layer(x, f"{name}.skip", down, active=False) / math.sqrt(2.0)
        x = self.layer(x, f"{name}.conv0")
        if told is not None:
            affine = self.t[f"{name}.conv1.affine.weight"]
            gates = affine @ told / math.sqrt(len(told)) + self.t[f"{name}.conv1.affine.bias"]
            x = x * (1.0 + torch.tanh(gates))[:, None, None]
        return skip + self.layer(x, f"{name}.conv1", down) / math.sqrt(2.0)

    def head(self, batch: list[Tensor], conditions: list[Tensor] | None = None) -> list[float]:
        spread = torch.stack(batch).var(dim=0, unbiased=False)
        level = (spread + 1e-8).sqrt().mean()
        found = []
        for index, x in enumerate(batch):
            told = torch.cat([x, level.expand(1, 4, 4)])
            flat = self.layer(told, "b4.conv").flatten()
            hidden = lrelu(self.dense(flat, "b4.fc"))
            out = self.dense(hidden, "b4.out")
            if conditions is not None:
                out = (out * conditions[index]).sum()[None] / math.sqrt(len(out))
            found.append(float(out[0]))
        return found

    def dense(self, x: Tensor, name: str, rate: float = 1.0) -> Tensor:
        weight = self.t[f"{name}.weight"] * rate / math.sqrt(len(x))
        return weight @ x + self.t[f"{name}.bias"] * rate

    def mapping(self, c: Tensor, name: str, layers: int) -> Tensor:
        x = self.dense(c, f"{name}.embed")
        x = x / torch.sqrt((x * x).mean() + 1e-8)
        for index in range(layers):
            x = lrelu(self.dense(x, f"{name}.fc{index}", 0.01))
        return x


def stirred(network: nn.Module, seed: int = 0) -> nn.Module:
    """Biases off zero."""
    random = seeded(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.add_(torch.randn(parameter.shape, generator=random) * 0.3)
    return network


def pictures(channels: int = 3, side: int = 16) -> Tensor:
    return torch.randn(2, channels, side, side, generator=seeded(7))


def agree(found: Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(
        found.detach().double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-4, atol=1e-4
    )


def test_residual() -> None:
    network = stirred(ResidualDiscriminator(16, 6, WIDTHS, c_dim=7, mapping_layers=3))
    images, c = pictures(6), torch.randn(2, 7, generator=seeded(1))
    literal = Literal(network)
    ends = []
    for image in images.double():
        x = literal.layer(image, "b16.fromrgb")
        ends.append(literal.residual(literal.residual(x, "b16"), "b8"))
    told = [literal.mapping(each, "mapping", 3) for each in c.double()]
    agree(network(images, c), literal.head(ends, told))


def test_skip() -> None:
    network = stirred(SkipDiscriminator(16, WIDTHS))
    images = pictures()
    literal = Literal(network)
    ends = []
    for image in images.double():
        x: Tensor | None = None
        for side in (16, 8):
            seen = literal.layer(image, f"b{side}.fromrgb")
            x = seen if x is None else x + seen
            x = literal.layer(literal.layer(x, f"b{side}.conv0"), f"b{side}.conv1", down=True)
            image = blurred(image, 1)[:, ::2, ::2]
        assert x is not None
        ends.append(x + literal.layer(image, "b4.fromrgb"))
    agree(network(images), literal.head(ends))


def test_patches() -> None:
    network = stirred(PatchDiscriminator(8, WIDTHS, camera=2, embedded=5))
    images = pictures(side=8)
    told = torch.rand(2, 5, generator=seeded(3))
    literal = Literal(network)
    ends, conditions = [], []
    for image, own in zip(images.double(), told, strict=True):
        place = []
        for value in own[:3].tolist():
            counted = torch.tensor(value).float() * 1000
            angles = [2.0**k * math.pi / 1024.0 * float(counted) for k in range(10)]
            place.append(torch.tensor([math.sin(a) for a in angles], dtype=torch.float64))
            place.append(torch.tensor([math.cos(a) for a in angles], dtype=torch.float64))
            place.append(literal.t["scalar_enc.const_embed.weight"][int(counted.round())])
        joined = torch.cat(place)
        gates = literal.mapping(joined, "hyper_mod_mapping", 2)
        x = literal.layer(image, "b16.fromrgb")
        x = literal.residual(x, "b16", down=False, told=gates)
        ends.append(literal.residual(x, "b8", told=gates))
        whole = torch.cat([joined, own[3:].double()])
        conditions.append(literal.mapping(whole, "head_mapping", 2))
    agree(network(images, told), literal.head(ends, conditions))


def renamed(own: dict[str, Tensor], numbered: bool) -> dict[str, Tensor]:
    """A residual discriminator's tensors of 16 pixels under the other lineage's names."""
    parts = ("0", "1", "2") if numbered else ("down_blur", "equal_conv", "flrelu")
    state: dict[str, Tensor] = {}

    def put(ours: str, theirs: str, down: bool, bias: bool = True) -> None:
        conv, act = parts[1:] if down or not numbered else parts[:2]
        if down:
            state[f"{theirs}.{parts[0]}.kernel"] = own["b16.resample_filter"]
        state[f"{theirs}.{conv}.weight"] = own[f"{ours}.weight"]
        if bias:
            state[f"{theirs}.{act}.bias"] = own[f"{ours}.bias"]

    put("b16.fromrgb", "convs.0" if numbered else "conv_in.16", False)
    for place, side in enumerate((16, 8), start=1):
        block = f"convs.{place if numbered else side}"
        put(f"b{side}.conv0", f"{block}.conv1", False)
        put(f"b{side}.conv1", f"{block}.conv2", True)
        put(f"b{side}.skip", f"{block}.skip", True, bias=False)
    put("b4.conv", "final_conv", False)
    for index, name in enumerate(("fc", "out")):
        for kind in ("weight", "bias"):
            state[f"final_linear.{index}.{kind}"] = own[f"b4.{name}.{kind}"]
    return state


def test_the_other_lineage_is_the_same_mathematics() -> None:
    """StyleSDF's and CIPS-3D's modules, given the tensors of NVIDIA's by other names."""
    base = stirred(ResidualDiscriminator(16, 3, WIDTHS))
    placed, named = PlacedDiscriminator(16, WIDTHS), MultiScaleDiscriminator(WIDTHS, (16,))
    for network, numbered in ((placed, True), (named, False)):
        network.load_state_dict(renamed(base.state_dict(), numbered), strict=True)
        torch.testing.assert_close(network(pictures()), base(pictures()))


def test_coordinates() -> None:
    network = CoordDiscriminator(8, {8: 3, 4: 4, 2: 4})
    t = {name: value.detach().double() for name, value in network.state_dict().items()}
    images = pictures(side=8)

    def leaky(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    def pooled(x: Tensor) -> Tensor:
        return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4.0

    def told(x: Tensor, name: str) -> Tensor:
        line = torch.linspace(-1, 1, x.shape[1], dtype=torch.float64)
        rows, columns = torch.meshgrid(line, line, indexing="ij")
        x = convolved(torch.cat([x, rows[None], columns[None]]), t[f"{name}.conv.conv.weight"], 1)
        return leaky(x + t[f"{name}.activation.bias"][:, None, None])

    logits, angles = network(images)
    for image, logit, angle in zip(images.double(), logits, angles, strict=True):
        x = convolved(image, t["convs.0.conv.weight"], 0)
        x = leaky(x + t["convs.0.activation.bias"][:, None, None])
        for index in (1, 2):
            out = pooled(told(told(x, f"convs.{index}.conv1"), f"convs.{index}.conv2"))
            small = pooled(x)
            if index == 1:
                small = convolved(small, t["convs.1.skip.conv.weight"], 0)
                small = small + t["convs.1.skip.conv.bias"][:, None, None]
            x = (out + small) / math.sqrt(2.0)
        end = (t["final_conv.conv.weight"] * x[None]).sum(dim=(1, 2, 3)) + t["final_conv.conv.bias"]
        torch.testing.assert_close(
            torch.cat([logit[None], angle]).double(), end, rtol=1e-4, atol=1e-5
        )


def test_deviation_tells_how_much_a_group_differs() -> None:
    x = torch.zeros(4, 2, 1, 1, dtype=torch.float64)
    x[:, 0, 0, 0] = torch.tensor([1.0, 10.0, 3.0, 30.0])
    # Groups of two: pictures 0 and 2, and 1 and 3. Deviations 1 and 10, halved by the other channel.
    found = minibatch_deviation(x, 2)[:, 2, 0, 0]
    expected = torch.tensor([0.5, 5.0, 0.5, 5.0], dtype=torch.float64)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    assert minibatch_deviation(x[:3], 2).shape == (3, 3, 1, 1)


def test_widths() -> None:
    assert block_widths(512) == {
        512: 64,
        256: 128,
        128: 256,
        64: 512,
        32: 512,
        16: 512,
        8: 512,
        4: 512,
    }
    assert narrowed({16: 128, 8: 256, 4: 512}, 64) == {16: 16, 8: 32, 4: 64}
    assert narrowed({4: 512}, 0) == {4: 512}


@pytest.mark.parametrize("side", [4, 12, 20])
def test_sides_that_are_no_powers_of_two_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match=str(side)):
        ResidualDiscriminator(side)

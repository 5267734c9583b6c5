"""What our own CIPS-3D models may have beyond the authors': latents that share numbers, a fixed
layer before the mappings, a backdrop."""

from __future__ import annotations

import torch

from engine.camera import OrbitPose
from engine.generators.latent_features import LatentFeatures
from tests.generators.tiny_cips3d import tiny_model


def test_networks_may_read_the_same_numbers_of_z_spelt_out() -> None:
    """Not the authors': each network's latent is picked from z, and a fixed layer before its
    mapping takes the place of the normalisation."""
    picked = {
        "nerf_reads": (0, 1, 2, 3, 7),
        "inr_reads": (7, 6, 5, 4, 0, 1),
        "nerf_latent_steps": ((4, 0.25, 0, 1),),
        "inr_latent_steps": ((1, -0.5, 0, 0), (2, 0.5, 4, -1)),
    }
    model = tiny_model(**picked)
    assert model.capabilities.z_dim == 8
    z = torch.randn(8, generator=torch.Generator().manual_seed(1))
    network, w = model.network, model.map(z)
    nerf = network.mapping_network_nerf.base_net(
        LatentFeatures(5, model.config.nerf_latent_steps)(z[None, [0, 1, 2, 3, 7]])
    )
    inr = network.mapping_network_inr.base_net(
        LatentFeatures(6, model.config.inr_latent_steps)(z[None, [7, 6, 5, 4, 0, 1]])
    )
    assert torch.allclose(w[:4, :7], nerf.expand(4, -1)) and torch.allclose(w[4:], inr)
    # Lengths of latents are not normalised away.
    assert not torch.allclose(model.map(2.0 * z), w, atol=1e-2)


def test_a_backdrop_is_seen_as_far_as_the_head_lets_it() -> None:
    camera = OrbitPose(radius=1.0, fov_y=12.0).camera()
    plain = tiny_model(activation="softplus")
    before = tiny_model(activation="softplus", backdrop=0.75)
    z = torch.randn(11, generator=torch.Generator().manual_seed(0))
    w = plain.map(z)
    bare, laid = plain.render(w, camera), before.render(before.map(z), camera)
    opacity = bare.alpha[..., None]
    assert 0 < opacity.min() < 0.9
    for name in ("rgb", "raw"):
        expected = opacity * getattr(bare, name) + (1.0 - opacity) * 0.75
        assert torch.allclose(getattr(laid, name), expected, atol=1e-5)
    assert torch.equal(bare.depth, laid.depth)

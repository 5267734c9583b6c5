"""Parametric heads as training data: a latent vector becomes a person, a person pictures.

``attributes`` turns 64 standard normals into a description of a person, ``build`` turns
the description into meshes with the data of a head pack, ``renderer`` draws them with
OpenGL (through EGL, no display needed) and ``dataset`` writes shards of pictures with
depth, segmentation and cameras. ``python -m engine.training.heads --help`` is the command.

The package needs numpy, scipy, Pillow and moderngl (the extra ``train``), not torch.
"""

"""Safe readers for model files, and conversion."""

from engine.checkpoints.native import write_model
from engine.checkpoints.omegaconf import unwrap_omegaconf
from engine.checkpoints.plain import Checkpoint, ClassRef, LazyTensor, Node, module_tensors
from engine.checkpoints.reader import read_checkpoint
from engine.checkpoints.references import resolve_omegaconf
from engine.checkpoints.source import LazyBytes
from engine.checkpoints.weights import model_name, weights_file
from engine.hashing import file_sha256, model_sha256

__all__ = [
    "Checkpoint",
    "ClassRef",
    "LazyBytes",
    "LazyTensor",
    "Node",
    "file_sha256",
    "model_name",
    "model_sha256",
    "module_tensors",
    "read_checkpoint",
    "resolve_omegaconf",
    "unwrap_omegaconf",
    "weights_file",
    "write_model",
]

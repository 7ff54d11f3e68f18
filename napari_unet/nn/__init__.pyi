from .backend import backend_name, fast_policy, has_gpu, keras, use_policy
from .model import BORDER, Model, Prediction, load_model_file, plan_network_tiles
from .model_file import hash_file, load_network, read_card, replace_card, save_network
from .onnx import encode_onnx
from .trainer import Trainer, cosine_rate
from .unet import build_network, build_unet, fit_tile, fold_normalisation

__all__ = [
    "BORDER",
    "Model",
    "Prediction",
    "Trainer",
    "backend_name",
    "build_network",
    "build_unet",
    "cosine_rate",
    "encode_onnx",
    "fast_policy",
    "fit_tile",
    "fold_normalisation",
    "has_gpu",
    "hash_file",
    "keras",
    "load_model_file",
    "load_network",
    "plan_network_tiles",
    "read_card",
    "replace_card",
    "save_network",
    "use_policy",
]

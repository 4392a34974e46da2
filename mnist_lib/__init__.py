"""Small convolutional networks on MNIST: the library behind the numbered notebooks.

Digits flow through these modules once, from left to right:

    load_mnist ──> Batches ──> fit ──> Run ──> save ──> records ──> effects, verdicts, figures
    data.py                    train.py        records.py           results.py, visualize.py

journey.py says which recipe each notebook trains, from the parts in augment.py, models.py and
recipes.py; summary.py describes a network. What was measured beside the journey is declared in
experiments/. The names below are what a page or a script needs; each is loaded when first used.
"""

import importlib
import os

# albumentations asks the network for a newer version when it is imported, and warns when offline.
# It must be told before its first import, so the setting stands here and nowhere else.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__version__ = "0.2.0"

OFFERED = {
    "augment": "PerImage RandomAffine affine",
    "data": "Batches Digits fold_of_each load_mnist normalise to_float",
    "engine.machine": "is_short prepare seeded",
    "recipes": "Adam Constant OneCycle Recipe SGD StepDecay learning_rates source",
    "records": "NoRecords Run load_checkpoint records_of save",
    "results": "Claims Effect claim effect exercise finals held interval ledger mean_and_deviation "
    "pilots recheck verdict",
    "summary": "count_parameters layer_table receptive_field",
    "train": "evaluate fit predict train_epoch train_step",
}
HOME = {name: module for module, names in OFFERED.items() for name in names.split()}
MODULES = ("experiments", "journey", "models", "visualize")
__all__ = sorted([*HOME, *MODULES])


def __getattr__(name: str):
    if name in MODULES:
        return importlib.import_module(f"mnist_lib.{name}")
    if name in HOME:
        return getattr(importlib.import_module(f"mnist_lib.{HOME[name]}"), name)
    raise AttributeError(f"mnist_lib has no '{name}'; it offers {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__

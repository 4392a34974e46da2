"""Small convolutional networks on MNIST: the library behind the numbered notebooks.

Digits flow through these rooms once, from left to right:

    data -> augment -> models -> train -> results -> visualize
"""

import os

# albumentations asks the network for a newer version when it is imported, and warns when offline.
# It must be told before its first import, so the setting stands here and nowhere else.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

# PyTorch's threads wait for each other by spinning (GNU OpenMP). Beside other work they wait for one
# that has no core, and a training step takes up to twenty times as long; with a short spin it is
# four times less, and on an idle machine nothing is lost. It is read when PyTorch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

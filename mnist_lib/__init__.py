"""Small convolutional networks on MNIST: the library behind the numbered notebooks.

Digits flow through these rooms once, from left to right:

    data -> augment -> models -> train -> results -> visualize
"""

import os

# albumentations asks the network for a newer version when it is imported, and warns when offline.
# It must be told before its first import, so the setting stands here and nowhere else.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

# PyTorch's threads (GNU OpenMP) spin while they wait for each other. Beside other work they spin
# for one that has no core, and a training step takes many times as long; a short spin takes the
# edge off and costs nothing on an idle machine. PyTorch reads it when it is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

"""Small convolutional networks on MNIST: the library behind the numbered notebooks.

Digits flow through these rooms once, from left to right:

    data -> augment -> models -> train -> results -> visualize
"""

import os

# albumentations asks the network for a newer version when it is imported, and warns when offline.
# It must be told before its first import, so the setting stands here and nowhere else.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

# PyTorch's threads (GNU OpenMP) spin while they wait for each other; beside other work they spin
# for one that has no core. Two trainings of step 06 at once on two cores took 31 to 954 ms a step,
# with this shorter spin 80 to 85; alone it is 14 ms either way. PyTorch reads it when it loads.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

"""Small convolutional networks on MNIST: the library behind the numbered notebooks.

Digits flow through these modules once, from left to right:

    load_mnist ──> Batches ──> fit ──> Run ──> save ──> records ──> tables, claims, figures
    data.py                    train.py        records.py           results.py, visualize.py

journey.py says which recipe each notebook trains, from the parts in augment.py, models.py and
recipes.py; summary.py looks at a network. The packages are machinery: engine/ trains fast, safely,
published/ has others' systems, races/ those of notebook 11, demo/ a drawing pad, runner/ commands.
"""

import os

# albumentations asks the network for a newer version when it is imported, and warns when offline.
# It must be told before its first import, so the setting stands here and nowhere else.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

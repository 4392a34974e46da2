"""The experiments of others: networks, augmentations and recipes, compared with what they claim.

Nothing of the journey lives here, and no training loop: `fit` trains these recipes too.
"""

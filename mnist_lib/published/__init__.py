"""The experiments of others: their networks, augmentations, recipes and facts, compared with ours.

Nothing of the journey lives here, and no training loop: `fit` trains these recipes too.
"""

"""What makes training fast and safe, and a learner may skip: device, files, checks, progress.

Nothing here knows what a recipe, a step or a result is; it imports nothing of the rest.
"""

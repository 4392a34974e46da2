"""What a run needs and a learner may skip: the machine, and the fingerprint of a recipe."""

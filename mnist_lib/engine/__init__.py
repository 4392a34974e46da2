"""What makes training fast and safe, and a learner may skip; it imports nothing of the rest.

Recipes and records are only plain values here; how a network is trained stands in `train`. A pass
of training takes so many times as long without each trick, with one thread (`make bench`):

                 S0-6   S4-6   06-one-cycle   07-separable
channels last    1.68   1.10           1.09           1.58
dropout          1.00   1.22           0.99           0.97
kept memory      1.11   1.00           1.01           0.98
"""

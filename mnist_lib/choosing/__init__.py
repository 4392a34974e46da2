"""What else was tried: candidates for the steps of the journey, and how they are compared on folds.

Never a test digit: a trial has none, and its record in results/trials/ shows it.
"""

"""The drawing pad: what makes a drawing a digit of MNIST, and the page that guesses it.

No training and no record is made here, and nothing leaves the machine.
"""

"""What was measured beside the journey, as declarations: pilots, systems, small networks, speed.

Nothing here has a loop of its own: all of it goes through `fit`, `save` and `effect`.
"""

"""What was measured beside the journey, as declarations: pilots, systems, small networks, speed.

Nothing here has a training loop of its own: all of it goes through `fit`, `save` and `effect`.
"""


def all_recipes() -> list:
    """Every recipe of the library, those of the journey first."""
    from mnist_lib import journey
    from mnist_lib.experiments import pilots, speed, systems
    from mnist_lib.recipes import Recipe

    found = {}
    for module in (journey, systems, pilots, speed):
        for value in vars(module).values():
            recipes = value if isinstance(value, list) else [value]
            found |= {each.name: each for each in recipes if isinstance(each, Recipe)}
    return list(found.values())


def find(name: str):
    """The recipe of this name.

    Args:
        name: of a recipe of the library, in any case, or ``MODULE:NAME`` for one of the reader's
            own, in a file MODULE.py that Python finds.

    Raises:
        ValueError: if there is none; the message lists at most five near names.
    """
    import difflib

    if ":" in name:
        return find_in_module(*name.split(":", 1))
    recipes = {recipe.name.lower(): recipe for recipe in all_recipes()}
    if name.lower() not in recipes:
        begin = [other for other in recipes if other.startswith(name.lower())]
        near = begin or difflib.get_close_matches(name.lower(), recipes, n=5, cutoff=0.5)
        known = ", ".join(recipes[other].name for other in near[:5])
        hint = f"near it are {known}" if known else "`ledger` and `systems` list them"
        raise ValueError(f"there is no recipe '{name}'; {hint}")
    return recipes[name.lower()]


def find_in_module(module: str, name: str):
    """A recipe of the reader's own; ValueError if there is none."""
    import importlib

    from mnist_lib.recipes import Recipe

    try:
        recipe = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever a reader's file may raise
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"there is no recipe '{module}:{name}': {reason}") from error
    if not isinstance(recipe, Recipe):
        raise ValueError(f"'{module}:{name}' is no recipe but a {type(recipe).__name__}")
    return recipe

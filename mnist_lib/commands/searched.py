"""What a search found: its best trials, and what mattered."""

from pathlib import Path

import optuna
import pandas as pd
from matplotlib.figure import Figure
from optuna.trial import TrialState

from mnist_lib.engine.environment import output_folder
from mnist_lib.engine.files import write_atomically
from mnist_lib.engine.pictures import as_png
from mnist_lib.visualize import new_figure

IN_A_ROW = 4  # pictures


def completed(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that were measured to their end."""
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])


def best(study: optuna.Study, count: int = 10) -> pd.DataFrame:
    """The best trials, one a row, with what was suggested."""
    rows = [
        {
            "trial": trial.number,
            "validation": f"{trial.value:.2%}",
            "parameters": trial.user_attrs["parameters"],
            **trial.params,
        }
        for trial in sorted(completed(study), key=lambda trial: -trial.value)[:count]
    ]
    return pd.DataFrame(rows).set_index("trial") if rows else pd.DataFrame()


def draw(study: optuna.Study) -> Path:
    """Write the picture of what mattered; returns its path."""
    path = output_folder().parent / "figures" / f"search-{study.study_name}.png"
    write_atomically(path, as_png(what_mattered(study)))
    return path


def what_mattered(study: optuna.Study) -> Figure:
    """Accuracy against each suggestion, the most important first; what is far below is left out.

    Importance is that of PED-ANOVA (Watanabe et al. 2023): how far the suggestions of the best
    tenth are from those of all.
    """
    table = pd.DataFrame([{**trial.params, "": trial.value * 100} for trial in completed(study)])
    weights = importances(study)
    columns = min(IN_A_ROW, max(1, len(weights)))
    rows = max(1, -(-len(weights) // columns))
    figure, axes = new_figure(3.2 * columns, 3 * rows, rows, columns, sharey=True, squeeze=False)
    for ax in axes.flat[len(weights) :]:
        ax.axis("off")
    for ax, (name, weight) in zip(axes.flat, weights.items(), strict=False):
        values = table[name]
        ax.plot(
            values if values.dtype.kind in "if" else values.astype(str), table[""], "o", alpha=0.5
        )
        if values.dtype.kind == "i":
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_xlabel(name)
        ax.set_title(f"importance {weight:.0%}", fontsize=10)
    for ax in axes[:, 0]:
        ax.set_ylabel("validation accuracy (%)")
    if not table.empty:
        highest = table[""].max()
        half = max(highest - table[""].median(), 0.1)  # of the trials lie in this range below it
        axes.flat[0].set_ylim(highest - 5 * half, highest + half)
    return figure


def importances(study: optuna.Study) -> dict[str, float]:
    """Part of each suggestion in what made the best trials good; all equal where too few ended."""
    names = sorted({name for trial in completed(study) for name in trial.params})
    try:
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):
        return {name: 1 / len(names) for name in names}

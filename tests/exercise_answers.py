"""Other right answers to the exercises, and typical mistakes, which their checks must cross.

Each has a name, the number of its notebook and of its exercise. What is not replaced stays as it
is in the solution on the page.
"""

STEPS = """
def mended(model, optimizer):
    for chosen in torch.arange(20 * 128).split(128):
        optimizer.zero_grad()
        x, y = normalise(to_float(digits.train_images[chosen])), digits.train_labels[chosen]
        F.nll_loss(model(x).log_softmax(1), y).backward()
        optimizer.step()
"""
ADAM = """
from mnist_lib.recipes import Adam
mine = hurried.but("03-mine", "another", optimizer=Adam(0.003))
my_run = fit(mine, few, seed=SEED)
"""
ERASE = """
def erase(images, generator):
    images = images.clone()
    for image in images:
        row, column = torch.randint(23, (2,), generator=generator).tolist()
        image[..., row : row + 6, column : column + 6] = 0
    return images
"""
DOUBTFUL = """
of_three = torch.tensor([[0.4, 0.35, 0.25], [0.1, 0.9, 0.0], [0.51, 0.49, 0.0]])
"""
DRAWN = """
def flattery(trials, folds):
    draws = torch.randn(100_000, trials, folds, generator=torch.Generator().manual_seed(7))
    return spread * draws.mean(2).amax(1).mean().item()
"""
TRIED = """
threshold = min(t for t in sure[~is_correct].tolist() if (~is_correct & (sure > t)).sum() <= 3)
"""

RIGHT = {  # executed after the solution
    "another way to the same weights": ("01", 1, STEPS),
    "padding": ("02", 2, "moved = lambda images, n: torch.nn.functional.pad(images, (n, -n))"),
    "Adam": ("03", 2, ADAM),
    "PyTorch's": ("04", 1, "drop = lambda x, p: torch.nn.functional.dropout(x, p)"),
    "a loop": ("05", 2, ERASE),
    "another class in doubt": ("12", 1, DOUBTFUL),
    "every fold drawn": ("12", 2, DRAWN),
    "by trying all": ("14", 2, TRIED),
}  # fmt: skip

WRONG = {  # executed after the solution
    "another network": ("03", 2, """
mine = my_run.recipe = hurried.but("03-mine", "another network", network=models.normalised)
"""),
    "two changes": ("03", 2, "mine = my_run.recipe = mine.but('03-mine', 'more', epochs=2)"),
    "too few steps": ("03", 2, "my_run = fit(mine, few.first(640), seed=SEED)"),
    "only the mode": ("04", 2, "mended = lambda model, *some: broken(model.eval(), *some)"),
    "a schedule and a size": ("06", 2, """
mine = my_run.recipe = mine.but("06-mine", "smaller batches, too", batch_size=64)
"""),
    "a decay that comes too late": ("06", 2, """
my_run = reference_run
my_run.recipe = mine
"""),
    "a formula for one width": ("08", 1, "a, b, c = 0, 0, 2_894"),
    "another verdict": ("08", 2, "words = 'helps'"),
    "blocks of positions": ("09", 2, "by_label = places // 6_000 + 1"),
    "a fold for each class": ("09", 2, "by_label = digits.train_labels + 1"),
    "no class absent": ("09", 2, "absent = 0"),
    "as balanced as they seem": ("09", 2, "even = 0.5"),
    "the first five": ("10", 1, "best_of_five = accuracies.iloc[:5].max()"),
    "the middle one": ("10", 1, "typical = accuracies.median()"),
    "outside": ("10", 2, "words = 'outside our runs'"),
    "one trial": ("12", 2, "fewest = 2"),
    "the mistakes alone": ("14", 2, "refused = (~is_correct).double().mean()"),
}  # fmt: skip

SLIPS = {  # a part of the solution, and what stands in its place
    "gradients that add up": ("01", 1, "optimizer.zero_grad()", "pass"),
    "a softmax too many": ("01", 1, "model(x)", "model(x).softmax(1)"),
    "as many inputs as before": ("01", 2, "16 * 3 * 3", "16 * 5 * 5"),
    "no biases": ("01", 2, "8 * 9 + 8, 16 * 8 * 9 + 16", "8 * 9, 16 * 8 * 9"),
    "pooling forgotten": ("02", 1, ", (2, 2)", ""),
    "one too few": ("02", 1, "< 28", "< 26"),
    "one too many": ("02", 1, "< 28", "< 31"),
    "wrapped around": ("02", 2, "torch.zeros_like(images)", "images.roll(pixels, -1)"),
    "to the left": ("02", 2, "[..., pixels:] = images[..., :-pixels]",
                    "[..., :-pixels] = images[..., pixels:]"),
    "the other network": ("02", 2, "accuracy(PLAIN", "accuracy(RECIPE"),
    "each place by itself": ("03", 1, "(0, 2, 3)", "0"),
    "divided by n - 1": ("03", 1, "((x - mean) ** 2).mean(", "x.var("),
    "without eps": ("03", 1, "variance + eps", "variance"),
    "not scaled": ("04", 1, " / (1 - p)", ""),
    "p is kept": ("04", 1, ">= p", "< p"),
    "whole rows": ("04", 1, "torch.rand_like(x)", "torch.rand(len(x), 1)"),
    "only the mean": ("04", 2, "model.eval()", ""),
    "upside down": ("05", 1, "flip(3)", "flip(2)"),
    "all of them": ("05", 1, "> 0.5", "> 0.0"),
    "one hole for all": ("05", 2, "len(images)", "1"),
    "over the edge": ("05", 2, "28 - 6 + 1", "28"),
    "dice of its own": ("05", 2, "generator=generator, ", ""),
    "what came in is changed": ("05", 2, "masked_fill", "masked_fill_"),
    "the momentum that stays": ("06", 1, 'optimizer.param_groups[0]["momentum"]', "0.9"),
    "the peak of the momentum": ("06", 1, "min(momenta)", "max(momenta)"),
    "cells that come in": ("07", 1, "cells = 6 * 6", "cells = 8 * 8"),
    "the last stage": ("07", 1, "24 * 24 * 8 * 16", "cells * 24 * 24"),
    "a sum over channels": ("07", 2, "transpose(0, 1)", "sum(0)"),
    "turned over": ("07", 2, "pointwise * depthwise.transpose", "depthwise * pointwise.transpose"),
    "no normalisation": ("08", 1, "(9 + 2)", "9"),
    "one too wide": ("08", 1, "2_500", "2_600"),
    "as if the folds were independent": ("08", 2, " * (1 + n / 9) ** 0.5", ""),
    "the best epoch as the last": ("09", 1, "last = tested.iloc[-1]", "last = tested.max()"),
    "reported on the digits that chose": ("09", 1, "tested.loc[", "validated.loc["),
    "the best seed after its last epoch": ("09", 1, "tested.max().max()", "tested.iloc[-1].max()"),
    "one epoch for all seeds": ("09", 1, "best = tested.max().mean()",
                                "best = tested.mean(axis=1).max()"),
    "counted from zero": ("09", 2, "places % 10 + 1", "places % 10"),
    "the interval of the mean": ("10", 2, "(1 + 1 / len(ours))", "(1 / len(ours))"),
    "the border left on": ("11", 1, "20 * 20", "24 * 24"),
    "the weights alone": ("11", 1, "8 * 8 * 32", "32"),
    "means, not pairs": ("11", 2, "/ published)", "/ published.mean())"),
    "the factor of the folds": ("11", 2, "ratios.std()", "ratios.std() * 1.4"),
    "more than one": ("12", 1, "1.0", "2.0"),
    "a third in doubt": ("12", 1, "[0.0, 1.0, 0.0]", "[0.3, 0.3, 0.4]"),
    "divided by the folds": ("12", 2, "folds**0.5", "folds"),
    "one normalisation for all": ("13", 1, "3 * norm", "norm"),
    "a full convolution": ("13", 1, "9 * 19 + 19 * 19", "9 * 19 * 19"),
    "over the variance of the columns": ("13", 2, "ink * y * y", "ink * x * x"),
    "the means left in": ("13", 2, "x, y = x -", "unused = x -"),
    "one bin": ("14", 1, ".clamp(max=bins - 1)", " * 0"),
    "every bin alike": ("14", 1, "inside.float().mean()", "1 / bins"),
    "the third mistake": ("14", 2, "wrong_first[3]", "wrong_first[2]"),
}  # fmt: skip

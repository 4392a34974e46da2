"""Typical mistakes in the exercises; their check must cross each.

Each is executed after the start cell of its exercise: what, notebook, number, code. Many are a
right answer with one part replaced.
"""

from exercise_answers import (
    BY_HAND,
    ERASE,
    HURRIED,
    INTERVAL,
    MOMENTS,
    PREDICTION,
    RATIO,
    SHIFTED,
    STEPS,
    THROUGHOUT,
)

FEWER = HURRIED.replace("few,", "few.first(640),")  # enough to be wrong

WRONG = {
    "gradients that add up": ("01", 1, STEPS.replace("optimizer.zero_grad()", "")),
    "a softmax too many": ("01", 1, STEPS.replace("nll_loss", "cross_entropy").replace("log_", "")),
    "as it was": ("01", 1, "mended = broken"),
    "as many inputs as before": ("01", 2, "inputs, parameters = 400, 27_562 + 16 * 16 * 9 + 16"),
    "no biases": ("01", 2, "inputs, parameters = 144, 72 + 1_152 + 2_304 + 9_216 + 640"),
    "pooling forgotten": ("02", 1, "field, jump, convolutions = 5, 2, 6"),
    "one too few": ("02", 1, "field, jump, convolutions = 6, 2, 5"),
    "one too many": ("02", 1, "field, jump, convolutions = 6, 2, 7"),
    "wrapped around": ("02", 2, "moved = lambda images, n: images.roll(n, -1)"),
    "to the left": ("02", 2, SHIFTED.replace("(n, -n)", "(-n, n)")),
    "the other way round": ("02", 2, SHIFTED.replace("(PLAIN, RECIPE)", "(RECIPE, PLAIN)")),
    "each place by itself": ("03", 1, BY_HAND.replace("(0, 2, 3)", "0")),
    "divided by n - 1": ("03", 1, BY_HAND.replace("correction=0", "correction=1")),
    "without eps": ("03", 1, BY_HAND.replace("variance + eps", "variance")),
    "another network": ("03", 2, FEWER.replace("optimizer=Adam(0.003)",
                                                 "network=models.normalised")),
    "two changes": ("03", 2, FEWER.replace("optimizer=Adam(0.003)", "batch_size=32, epochs=2")),
    "only a higher rate": ("03", 2, FEWER.replace("Adam(0.003)", "SGD(0.1)")),
    "not scaled": ("04", 1, "drop = lambda x, p: x * (torch.rand_like(x) >= p)"),
    "p is kept": ("04", 1, "drop = lambda x, p: x * (torch.rand_like(x) < p) / max(p, 1e-9)"),
    "whole rows": ("04", 1, "drop = lambda x, p: x * (torch.rand(len(x), 1) >= p) / (1 - p)"),
    "only the mode": ("04", 2, "mended = lambda model, *some: broken(model.eval(), *some)"),
    "only the mean": ("04", 2, """
def mended(model, images, labels):
    batches = Batches(images, labels, batch_size=512)
    return sum((model(x).argmax(1) == y).sum().item() for x, y in batches) / len(labels)
"""),
    "upside down": ("05", 1, """
mirrored, survivors = digits.validation_images.flip(2), {0, 1, 3, 8}
"""),
    "all of them": ("05", 1, """
mirrored, survivors = digits.validation_images.flip(3), set(range(10))
"""),
    "one hole for all": ("05", 2, ERASE.replace("in images:", "in [images]:")),
    "over the edge": ("05", 2, ERASE.replace("23", "28")),
    "dice of its own": ("05", 2, ERASE.replace(", generator=generator", "")),
    "what came in is changed": ("05", 2, ERASE.replace("images.clone()", "images")),
    "the momentum that stays": ("06", 1, """
momenta, stride_moved, stride_constant = [0.9] * 100, 1, 1.5
"""),
    "the peak of the momentum": ("06", 1, """
momenta, stride_moved, stride_constant = ..., 0.15 / (1 - 0.95), 1.5
"""),
    "another rate": ("06", 2, THROUGHOUT),
    "a decay that comes too late": ("06", 2, THROUGHOUT.replace(
        "optimizer=SGD(0.05)", "schedule=StepDecay(10)").replace("(mine, mine)",
                                                                 "(mine, throughout)")),
    "cells that come in": ("07", 1, "full, separable, most = 64 * 5_184, 64 * 792, 73_728"),
    "weights": ("07", 1, "full, separable, most = 5_184, 792, 576"),
    "the last stage": ("07", 1, "full, separable, most = 36 * 5_184, 36 * 792, 36 * 576"),
    "a sum over channels": ("07", 2, """
full_weights = lambda depthwise, pointwise: (pointwise * depthwise.sum(0)).expand(7, 5, 3, 3)
"""),
    "turned over": ("07", 2, """
full_weights = lambda depthwise, pointwise: pointwise.transpose(0, 1) * depthwise
"""),
    "a formula for one width": ("08", 1, "a, b, c, largest = 0, 0, 2_894, 17"),
    "no normalisation": ("08", 1, "a, b, c, largest = 3, 53, 426, 18"),
    "one too wide": ("08", 1, "a, b, c, largest = 3, 61, 474, 18"),
    "of many values": ("08", 2, INTERVAL.replace("stats.t.interval(0.95, n - 1,",
                                                 "stats.norm.interval(0.95,")),
    "the spread of one": ("08", 2, INTERVAL.replace("stats.sem(differences)", "differences.std()")),
    "another verdict": ("08", 2, INTERVAL + "words = 'helps'"),
    "as if the folds were independent": ("08", 2, INTERVAL.replace("(1 + n / 9)", "1")),
    "the best epoch as the last": ("09", 1, "last = best = tested.max().mean()"),
    "reported on the digits that chose": ("09", 1, "chosen = validated.max().mean()"),
    "the best seed after its last epoch": ("09", 1, "top = tested.iloc[-1].max()"),
    "one epoch for all seeds": ("09", 1, "best = tested.mean(axis=1).max()"),
    "blocks of positions": ("09", 2, "by_label = places // 6_000 + 1"),
    "a fold for each class": ("09", 2, "by_label = digits.train_labels + 1"),
    "counted from zero": ("09", 2, "in_turn = places % 10"),
    "the balanced folds": ("09", 2, "in_turn = fold_of_each(digits.train_labels)"),
    "as balanced as they seem": ("09", 2, "absent, even = 0, 0.5"),
    "the first five": ("10", 1, "best_of_five = accuracies.iloc[:5].max()"),
    "the middle one": ("10", 1, "typical = accuracies.median()"),
    "the interval of the mean": ("10", 2, PREDICTION.replace("(1 + 1 /", "(1 /")),
    "outside": ("10", 2, PREDICTION.replace("compatible with", "outside")),
    "their own three runs": ("10", 2, PREDICTION.replace("degrees", "len(ours) - 1")),
    "the border left on": ("11", 1, "first = 24 * 24 * 16 * 5 * 5"),
    "the weights alone": ("11", 1, "first, second, hidden = 400, 4_608, 65_536"),
    "means, not pairs": ("11", 2, RATIO.replace("/ published", "/ published.mean()")),
    "the factor of the folds": ("11", 2, RATIO.replace("stats.sem(each)", "stats.sem(each) * 1.4")),
    "all agree": ("12", 1, "of_three = torch.eye(3)[[1, 1, 1]]"),
    "more than one": ("12", 1, """
of_three = torch.tensor([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.0, 2.0, 0.0]])
"""),
    "divided by the folds": ("12", 2, """
def flattery(trials, folds):
    return spread / folds * torch.randn(100_000, trials).amax(1).mean().item()
"""),
    "one trial": ("12", 2, "fewest = 2"),
    "one normalisation for all": ("13", 1, "shared = 9 * 19 + 19 * 19 + 2 * 19"),
    "a full convolution": ("13", 1, "shared, own = 9 * 19 * 19 + 6 * 19, 3 * 9 * 19 * 19 + 6 * 19"),
    "over the variance of the columns": ("13", 2, MOMENTS.replace("ink * y * y", "ink * x * x")),
    "the means left in": ("13", 2, MOMENTS.replace("x, y = x -", "unused = x -")),
    "one bin": ("14", 1, """
def calibration_error(confidence, is_right, bins=15):
    return abs(confidence.mean() - is_right.float().mean())
"""),
    "every bin alike": ("14", 1, """
def calibration_error(confidence, is_right, bins=15):
    number = (confidence * bins).long().clamp(max=bins - 1)
    gaps = [(is_right[number == n].float() - confidence[number == n]).mean() for n in range(bins)]
    return sum(map(abs, gaps)) / bins
"""),
    "a round number": ("14", 2, "threshold = 0.99"),
    "the third mistake": ("14", 2, "threshold = sure[~is_correct].sort(descending=True).values[2]"),
    "the mistakes alone": ("14", 2, "refused = (~is_correct).double().mean()"),
}  # fmt: skip

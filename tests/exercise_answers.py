"""Right answers to the exercises besides the solutions on the pages.

Each is executed after the start cell of its exercise: what, notebook, number, code.
"""

STEPS = """
def mended(model, optimizer):
    for chosen in torch.arange(20 * 128).split(128):
        optimizer.zero_grad()
        x, y = normalise(to_float(digits.train_images[chosen])), digits.train_labels[chosen]
        F.nll_loss(model(x).log_softmax(1), y).backward()
        optimizer.step()
"""
SHIFTED = """
import torch
moved = lambda images, n: torch.nn.functional.pad(images, (n, -n))
still = digits.validation_images
lost_by_plain, lost_by_skeleton = (
    accuracy(recipe, still) - accuracy(recipe, moved(still, 4)) for recipe in (PLAIN, RECIPE)
)
"""
BY_HAND = """
def by_hand(x, scale, shift, eps=1e-5):
    variance, mean = torch.var_mean(x, (0, 2, 3), keepdim=True, correction=0)
    return (x - mean) / torch.sqrt(variance + eps) * scale[:, None, None] + shift[:, None, None]
"""
HURRIED = """
from mnist_lib.recipes import SGD, Adam
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
THROUGHOUT = """
from mnist_lib.recipes import SGD, StepDecay
mine = throughout.but("06-mine", "another", optimizer=SGD(0.05))
my_run, reference_run = (fit(each, few.first(640), seed=SEED) for each in (mine, mine))
"""
INTERVAL = """
from scipy import stats
n = len(differences)
error = stats.sem(differences) * (1 + n / 9) ** 0.5
low, high = stats.t.interval(0.95, n - 1, differences.mean(), error)
from mnist_lib import interval
words = interval(differences, 1 / 9).words
"""
PREDICTION = """
from scipy import stats
low, high = stats.t.interval(0.95, degrees, ours.mean(), s * (1 + 1 / len(ours)) ** 0.5)
words = "compatible with our runs"
"""
RATIO = """
from scipy import stats
each = faster / published
ratio = each.mean()
low, high = stats.t.interval(0.95, len(each) - 1, ratio, stats.sem(each))
"""
MOMENTS = """
def slant(image):
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    ink = image / image.sum()
    x, y = x - (ink * x).sum(), y - (ink * y).sum()
    return (ink * x * y).sum() / (ink * y * y).sum()
"""

RIGHT = {
    "another way to the same weights": ("01", 1, STEPS),
    "padding": ("02", 2, SHIFTED),
    "the layer itself": ("03", 1, BY_HAND),
    "Adam": ("03", 2, HURRIED),
    "PyTorch's": ("04", 1, "drop = lambda x, p: torch.nn.functional.dropout(x, p)"),
    "by evaluate": ("04", 2, """
mended = lambda model, *digits: evaluate(model, Batches(*digits, batch_size=512))[1]
"""),
    "a loop": ("05", 2, ERASE),
    "by einsum": ("07", 2, """
full_weights = lambda depthwise, pointwise: torch.einsum(
    "ikl,oi->oikl", depthwise[:, 0], pointwise[:, :, 0, 0]
)
"""),
    "by scipy": ("08", 2, INTERVAL),
    "by scipy's t": ("10", 2, PREDICTION),
    "in numbers": ("11", 1, "first, second, hidden = 160_000, 294_912, 65_536"),
    "by scipy's interval": ("11", 2, RATIO),
    "another class in doubt": ("12", 1, """
of_three = torch.tensor([[0.4, 0.35, 0.25], [0.1, 0.9, 0.0], [0.5, 0.5, 0.0]])
of_three[2] += torch.tensor([0.01, -0.01, 0.0])
"""),
    "every fold drawn": ("12", 2, """
def flattery(trials, folds):
    draws = torch.randn(100_000, trials, folds, generator=torch.Generator().manual_seed(7))
    return spread * draws.mean(2).amax(1).mean().item()
fewest = next(n for n in range(1, 20) if flattery(12, n) < 0.05)
"""),
    "in figures": ("13", 1, "shared, own, most_uses = 646, 1_710, 16"),
    "by moments": ("13", 2, MOMENTS),
    "by trying all": ("14", 2, """
threshold = min(t for t in sure[~is_correct].tolist() if (~is_correct & (sure > t)).sum() <= 3)
refused = 1 - (sure > threshold).double().mean().item()
"""),
}  # fmt: skip

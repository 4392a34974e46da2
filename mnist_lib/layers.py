"""Two of PyTorch's layers, faster in narrow networks on a CPU; on a GPU PyTorch's own code runs.

A training step of these networks is mostly normalisation and dropout, not convolution. Both layers
have PyTorch's names, arguments and weights, and give its numbers (dropout: its distribution). What
they are not made for, they leave to PyTorch as well; only gradients of gradients BatchNorm2d does
not have. The times are those of forward and backward pass together, a batch of 128 on two threads.
"""

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation without false sharing between threads.

    On channels-last images each of PyTorch's threads adds up its sums in a row of one small array,
    a number per channel. Where a row is no multiple of 64 bytes (16 channels), two threads write to
    the same 64 bytes and wait for each other: two threads take longer than one. 13 maps of 12 by 12
    take 2.3 ms, here 0.6.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if not self.shares_falsely(images):
            return super().forward(images)
        count = images.numel() // self.num_features
        output, mean, variance = Normalise.apply(images, self.weight, self.bias, self.eps)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        self.num_batches_tracked += 1
        return output

    def shares_falsely(self, images: torch.Tensor) -> bool:
        """Whether PyTorch's own kernel would suffer, in the ordinary case that this one covers."""
        return (
            self.training
            and images.device.type == "cpu"
            and torch.get_num_threads() > 1
            and self.num_features % 16 != 0
            and images.dim() == 4
            and images.is_contiguous(memory_format=torch.channels_last)
            and images.numel() > self.num_features
            and self.affine
            and self.track_running_stats
            and self.momentum is not None
            and images.dtype == self.weight.dtype == self.running_mean.dtype
        )


class Normalise(torch.autograd.Function):
    """The formulas of Ioffe & Szegedy 2015 on rows, one row of height * width * channels an image.

    PyTorch's kernels see a channel in each place of a row; then their statistics are merged. Long
    rows keep the processor's wide instructions busy, whatever the number of channels.
    """

    @staticmethod
    def forward(ctx, images, weight, bias, eps):
        rows, places = as_rows(images)
        means, variances = (
            statistic.view(places, -1)
            for statistic in torch.batch_norm_update_stats(rows, None, None, 0.0)
        )
        mean = means.mean(0)
        variance = variances.mean(0) + means.var(0, correction=0)
        constants = torch.stack((weight, bias, mean, variance)).repeat(1, places)
        output = torch.native_batch_norm(rows, *constants, False, 0.0, eps)[0]
        ctx.save_for_backward(rows, weight, mean, variance, constants)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        # detached, it is no view to autograd, and a ReLU may change it in place
        return as_images(output, images.shape).detach(), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, *unused):
        rows, weight, mean, variance, constants = ctx.saved_tensors
        grad_rows, places = as_rows(grad)
        _, grad_weights, grad_biases = torch.ops.aten.native_batch_norm_backward(
            grad_rows, rows, constants[0], *constants[2:], None, None, False, ctx.eps,
            [False, True, True],
        )  # fmt: skip
        grad_weight, grad_bias = (
            grads.view(places, -1).sum(0) for grads in (grad_weights, grad_biases)
        )
        # the gradient of an image is scale * grad + slope * image + shift
        inverse_std = (variance + ctx.eps).rsqrt()
        scale = weight * inverse_std
        slope = -scale * inverse_std * grad_weight / (len(rows) * places)
        shift = -scale * grad_bias / (len(rows) * places) - slope * mean
        scale, slope, shift = torch.stack((scale, slope, shift)).repeat(1, places)
        grad_images = torch.addcmul(shift, grad_rows, scale).addcmul_(rows, slope)
        return as_images(grad_images, grad.shape), grad_weight, grad_bias, None


def as_rows(images: torch.Tensor) -> tuple[torch.Tensor, int]:
    """(n, c, h, w) as rows (n, h * w * c), without a copy if channels are last, and h * w."""
    height, width = images.shape[2:]
    return images.permute(0, 2, 3, 1).reshape(len(images), -1), height * width


def as_images(rows: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Rows as images (n, c, h, w), channels last, without a copy."""
    n, channels, height, width = shape
    return rows.view(n, height, width, channels).permute(0, 3, 1, 2)


class Dropout(nn.Dropout):
    """Dropout with four decisions from each random number of 64 bits.

    PyTorch draws such a number for every pixel of every map, which takes a quarter of a training
    step of the published system S4-6: 16 maps of 24 by 24 take 6.4 ms, here 2.0. The probability is
    exact to 1 / 65,536.
    """

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        drop_below = round(self.p * 2**16)
        layouts = (torch.contiguous_format, torch.channels_last)
        ordinary = (
            0 < drop_below < 2**16
            and not self.inplace
            and images.dim() == 4
            and any(images.is_contiguous(memory_format=layout) for layout in layouts)
        )
        if not (self.training and images.device.type == "cpu" and ordinary):
            return super().forward(images)
        draws = torch.from_numpy(random_bits(images.numel())).view(torch.int16)
        factors = torch.empty(images.numel(), dtype=images.dtype)
        torch.ge(draws[: images.numel()], drop_below - 2**15, out=factors)
        factors.div_(1 - self.p)
        return images * factors.as_strided(images.shape, images.stride())


def random_bits(decisions: int) -> np.ndarray:
    """Random int64 (decisions / 4,), seeded from PyTorch's generator; numpy is twice as fast."""
    seed = int(torch.randint(2**62, ()))
    bounds = np.iinfo(np.int64)
    return np.random.Generator(np.random.SFC64(seed)).integers(
        bounds.min, bounds.max, -(-decisions // 4), dtype=np.int64, endpoint=True
    )

"""CompactNet: the small residual network behind the default bundle.

Source: ours. Residual blocks after He et al. (2016, arXiv:1512.03385) with squeeze and excitation
after Hu et al. (2018, arXiv:1709.01507) and stochastic depth after Huang et al. (2016,
arXiv:1603.09382), sized for 48 x 48 grey faces so that a face costs about 2 ms on one CPU core.

One trunk, three heads: expressions as FER+ annotators vote them, expressions as FER2013 labels them
(the two disagree most on the rare ones, which is why both are learnt), and face against not-face.
The expression heads give *balanced* logits: the score of each expression were all equally common. A
prior is added to them outside the network (`emotrace.bundle`), which makes it a setting.

Everything after pooling is a 1 x 1 convolution and not a matrix product over the batch, so that no
runtime has a reason to compute a face differently in a batch of another size: a face's result must
be the same, bit for bit, in any batch. It costs nothing (docs/decisions/0003).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from emotrace.models.compact_options import CompactNetOptions

_LEAST_SPREAD: Final = 0.03
"""Added to a picture's standard deviation, of values in [0, 1]: one with little contrast, as a wall
has, is not blown up to noise. Faces of FER have 0.2."""


class CompactNetOutput(NamedTuple):
    """What the network says of a batch."""

    ferplus_logits: Tensor
    """`(batch, 8)`, balanced, in the order of `EMOTIONS`."""
    fer2013_logits: Tensor
    """`(batch, 7)`, balanced, in the order of `FER2013_EMOTIONS`."""
    face_logit: Tensor
    """`(batch,)`: log odds that the crop shows a face."""


class StandardisingNorm(nn.BatchNorm2d):
    """Batch norm of pictures that are standardised first, each channel of each by itself.

    It has the tensors of a plain one, so that networks with and without it take each other's
    weights.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Norm `(batch, channels, height, width)`; a picture of one grey gives no large values."""
        centred = images - images.mean(dim=(2, 3), keepdim=True)
        spread = (centred * centred).mean(dim=(2, 3), keepdim=True).sqrt()
        return super().forward(centred / (spread + _LEAST_SPREAD))


class SqueezeExcitation(nn.Module):
    """Reweigh channels by what the whole picture says."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        hidden = max(8, width // ratio)
        self.squeeze = nn.Conv2d(width, hidden, kernel_size=1)
        self.excite = nn.Conv2d(hidden, width, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Scale `(batch, channels, height, width)` features by a gate per channel."""
        gate = features.mean(dim=(2, 3), keepdim=True)
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(gate))))
        return features * gate


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with squeeze and excitation beside a shortcut."""

    def __init__(
        self, width_in: int, width: int, *, stride: int, squeeze_ratio: int, drop_path: float
    ) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(width_in, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            SqueezeExcitation(width, squeeze_ratio),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride) if stride != 1 else nn.Identity(),
                nn.Conv2d(width_in, width, 1, bias=False),
                nn.BatchNorm2d(width),
            )
        self.drop_path = drop_path

    def forward(self, features: Tensor) -> Tensor:
        """Map `(batch, channels_in, height, width)` to `(batch, channels, height / stride, ..)`."""
        branch = self.branch(features)
        if self.training and self.drop_path > 0:
            keep = 1.0 - self.drop_path
            mask = torch.empty(branch.shape[0], 1, 1, 1, device=branch.device, dtype=branch.dtype)
            branch = branch * mask.bernoulli_(keep) / keep
        return torch.relu(self.shortcut(features) + branch)


class CompactNet(nn.Module):
    """A residual trunk with an expression head per label set and a face head.

    Input: `(batch, input_channels, input_size_px, input_size_px)`, float32 in [0, 1].
    """

    def __init__(self, options: CompactNetOptions | None = None) -> None:
        super().__init__()
        options = options or CompactNetOptions()
        self.options = options
        norm = StandardisingNorm if options.standardised else nn.BatchNorm2d
        self.stem = nn.Sequential(
            norm(options.input_channels),
            nn.Conv2d(options.input_channels, options.stem_width, 3, padding=1, bias=False),
            nn.BatchNorm2d(options.stem_width),
            nn.ReLU(inplace=True),
        )
        total, done = sum(options.blocks), 0
        layers: list[nn.Module] = []
        width_in = options.stem_width
        stages = zip(options.widths, options.blocks, options.strides, strict=True)
        for width, count, stride in stages:
            for position in range(count):
                done += 1
                layers.append(
                    ResidualBlock(
                        width_in,
                        width,
                        stride=stride if position == 0 else 1,
                        squeeze_ratio=options.squeeze_ratio,
                        drop_path=options.drop_path * done / total,
                    )
                )
                width_in = width
        self.trunk = nn.Sequential(*layers)
        self.dropout = nn.Dropout(options.dropout)
        self.ferplus_head = nn.Conv2d(width_in, options.ferplus_classes, 1)
        self.fer2013_head = nn.Conv2d(width_in, options.fer2013_classes, 1)
        self.face_head = nn.Conv2d(width_in, 1, 1)

    def forward(self, images: Tensor) -> CompactNetOutput:
        """Score `(batch, channels, size, size)` float32 crops in [0, 1]."""
        features = self.trunk(self.stem(images)).mean(dim=(2, 3), keepdim=True)
        dropped = self.dropout(features)
        return CompactNetOutput(
            ferplus_logits=self.ferplus_head(dropped).flatten(1),
            fer2013_logits=self.fer2013_head(dropped).flatten(1),
            face_logit=self.face_head(dropped).flatten(),
        )

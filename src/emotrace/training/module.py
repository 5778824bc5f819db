"""The Lightning module of the default recipe: losses, averaged weights, schedule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import lightning
import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from emotrace.errors import TrainingError
from emotrace.models.compact import CompactNet, CompactNetOutput
from emotrace.training.augmentation import augment, draw_mixup
from emotrace.training.losses import prior_adjusted_cross_entropy
from emotrace.training.not_faces import make_not_faces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from emotrace.training.batches import FaceBatch, SamplingPriors
    from emotrace.training.recipe import DefaultRecipe


def _moving_average(decay: float) -> Any:
    """Build the rule by which averaged weights follow the trained ones.

    The decay rises from 0.1 as (1 + n) / (10 + n), so that the random weights of the start are soon
    forgotten (the warm-up of TensorFlow's ExponentialMovingAverage).
    """

    @torch.no_grad()
    def update(averaged: Any, current: Any, count: Tensor) -> None:
        steps = int(count)
        weight = 1 - min(decay, (1 + steps) / (10 + steps))
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, weight)
            else:  # counters of batch norm
                mean.copy_(value)

    return update


def _shrink(images: Tensor, size_px: int) -> Tensor:
    """Make faces smaller without aliasing; leaves those of that size as they are."""
    if images.shape[-1] == size_px:
        return images
    return F.interpolate(
        images, size=(size_px, size_px), mode="bilinear", align_corners=False, antialias=True
    )


class ExpressionModule(lightning.LightningModule):
    """Trains a `CompactNet` on both label sets at once and keeps its averaged weights."""

    def __init__(
        self,
        recipe: DefaultRecipe,
        priors: SamplingPriors,
        steps_total: int,
        teachers: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.recipe = recipe
        # In a tuple, so that they are neither trained nor written into checkpoints.
        self.teachers = tuple(
            teacher.eval().requires_grad_(False).to(memory_format=torch.channels_last)
            for teacher in teachers
        )
        self.network = CompactNet(recipe.network).to(memory_format=torch.channels_last)
        self.averaged = AveragedModel(
            self.network,
            multi_avg_fn=_moving_average(recipe.average_decay),
            use_buffers=True,
        )
        self.steps_total = steps_total
        # A class that no label names would have -inf, and 0 * -inf makes the loss NaN.
        self.register_buffer("ferplus_log_prior", priors.ferplus.clamp_min(1e-6).log())
        self.register_buffer("fer2013_log_prior", priors.fer2013.clamp_min(1e-6).log())
        self.ferplus_log_prior: Tensor
        self.fer2013_log_prior: Tensor
        self._validation: list[tuple[CompactNetOutput, FaceBatch]] = []
        self.last_loss = float("nan")
        """Of the newest batch."""
        self.last_accuracy = float("nan")
        """Of the newest validation: against the top vote, under the training prior."""

    def forward(self, images: Tensor) -> CompactNetOutput:
        """Score faces with the averaged weights; see `CompactNet`."""
        output: CompactNetOutput = self.averaged(images)
        return output

    def _generator(self, batch_index: int) -> torch.Generator:
        # Drawn afresh from (seed, step): a resumed run goes on with the very numbers it would have
        # had.
        generator = torch.Generator()
        return generator.manual_seed(
            (self.recipe.seed * 1_000_003 + self.current_epoch) * 100_003 + batch_index
        )

    def training_step(self, batch: FaceBatch, batch_index: int) -> Tensor:
        """Return the loss of one batch.

        Raises:
            TrainingError: The loss is not finite.
        """
        recipe, generator = self.recipe, self._generator(batch_index)
        augmentation = recipe.augmentation_at(self.current_epoch)
        made = math.ceil(recipe.not_face_fraction * len(batch.images))
        images = batch.images
        if made:
            images = torch.cat([images, make_not_faces(images[:made], generator)])
        # In full precision: bfloat16 keeps 8 bits, as coarse as the grey levels themselves.
        with torch.autocast(images.device.type, enabled=False):
            images = augment(images, augmentation, generator)
        faces = len(batch.images)
        keep = draw_mixup(augmentation, generator)
        ferplus, fer2013, face = batch.ferplus_shares, batch.fer2013_shares, batch.face_shares
        if keep < 1:
            order = torch.randperm(faces, generator=generator)
            mixed = keep * images[:faces] + (1 - keep) * images[:faces][order]
            images = torch.cat([mixed, images[faces:]])
            ferplus = keep * ferplus + (1 - keep) * ferplus[order]
            fer2013 = keep * fer2013 + (1 - keep) * fer2013[order]
            face = keep * face + (1 - keep) * face[order]
        if self.teachers:  # of faces of their own size, whatever that of this epoch is
            ferplus, fer2013 = self._ask_teachers(images[:faces], ferplus, fer2013)
        with torch.autocast(images.device.type, enabled=False):
            images = _shrink(images, recipe.size_px_at(self.current_epoch))
        # Dropout and skipped blocks draw from torch's own generators, which no checkpoint keeps.
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        output = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = prior_adjusted_cross_entropy(
            output.ferplus_logits[:faces], ferplus, self.ferplus_log_prior
        )
        loss = loss + recipe.fer2013_weight * prior_adjusted_cross_entropy(
            output.fer2013_logits[:faces], fer2013, self.fer2013_log_prior
        )
        target = torch.cat([face, face.new_zeros(made)])
        loss = loss + recipe.face_weight * F.binary_cross_entropy_with_logits(
            output.face_logit.float(), target
        )
        if not bool(torch.isfinite(loss)):
            got = float(loss.detach())
            raise TrainingError(
                f"expected a finite loss; got {got} at epoch {self.current_epoch}, "
                f"batch {batch_index}; lower learning_rate or turn mixed_precision off"
            )
        self.last_loss = float(loss.detach())
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=faces)
        return loss

    @torch.no_grad()
    def _ask_teachers(
        self, images: Tensor, ferplus: Tensor, fer2013: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mix what the teachers say of the very faces that the network is shown into the labels.

        Each answers for its part of the batch, which is in random order: cross-entropy is linear in
        the label, so the gradient is on average that of their mean answer, and three of them cost
        what one does. A face without a label stays without one.
        """
        images = images.contiguous(memory_format=torch.channels_last)
        ferplus, fer2013 = ferplus.clone(), fer2013.clone()
        count = len(self.teachers)
        parts = (all_faces.tensor_split(count) for all_faces in (images, ferplus, fer2013))
        for teacher, faces, first, second in zip(self.teachers, *parts, strict=True):
            if not len(faces):  # fewer of them than teachers
                continue
            said = teacher(faces)
            # With the priors of this run's sampling, under which its own answers are judged.
            for labels, logits, log_prior in (
                (first, said.ferplus_logits, self.ferplus_log_prior),
                (second, said.fer2013_logits, self.fer2013_log_prior),
            ):
                answer = torch.softmax(logits.float() + log_prior, dim=1)
                # The parts are views: this changes the whole.
                labels.lerp_(answer * labels.sum(dim=1, keepdim=True), self.recipe.teacher_share)
        return ferplus, fer2013

    def on_fit_start(self) -> None:
        """Bring the teachers to where the network is."""
        for teacher in self.teachers:
            teacher.to(self.device)

    def on_train_start(self) -> None:
        """Take the learning rate from the recipe: a checkpoint of a shorter run ended at zero."""
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR):
            for group, peak, factor in zip(
                scheduler.optimizer.param_groups,
                scheduler.base_lrs,
                scheduler.lr_lambdas,
                strict=True,
            ):
                group["lr"] = peak * factor(scheduler.last_epoch)

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the averaged weights one step towards the trained ones."""
        self.averaged.update_parameters(self.network)

    def validation_step(self, batch: FaceBatch, _: int) -> None:
        """Keep the averaged network's scores of one batch."""
        self._validation.append((self(batch.images), batch))

    def on_validation_epoch_end(self) -> None:
        """Log accuracy against the top vote under the training prior, and balanced recall."""
        logits = torch.cat([output.ferplus_logits.float() for output, _ in self._validation])
        shares = torch.cat([batch.ferplus_shares for _, batch in self._validation])
        self._validation.clear()
        known = shares.sum(dim=1) > 0
        logits, shares = logits[known], shares[known]
        target = shares.argmax(dim=1)
        natural = shares.mean(dim=0).clamp_min(1e-6).log()
        hits = (logits + natural).argmax(dim=1) == target
        balanced = logits.argmax(dim=1) == target
        present = torch.bincount(target).nonzero().flatten()
        recall = torch.stack(
            [balanced[target == label].float().mean() for label in present.tolist()]
        ).mean()
        loss = prior_adjusted_cross_entropy(logits, shares, natural)
        self.last_accuracy = float(hits.float().mean())
        self.log_dict(
            {
                "validation_loss": loss,
                "validation_accuracy": hits.float().mean(),
                "validation_balanced_recall": recall,
            },
            prog_bar=True,
        )

    def configure_optimizers(self) -> Any:
        """Build SGD with a warm-up and a half cosine to zero, stepped per batch."""
        recipe = self.recipe
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        optimizer = torch.optim.SGD(
            [
                {"params": decayed, "weight_decay": recipe.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=True,
        )
        per_epoch = self.steps_total / recipe.epochs_total
        warmup = max(1, round(recipe.warmup_epochs * per_epoch))
        polish_from = round(recipe.epochs * per_epoch)

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            if step < polish_from or not recipe.polish_epochs:
                peak, start, end = 1.0, warmup, polish_from
            else:
                peak, start, end = recipe.polish_factor, polish_from, self.steps_total
            done = (step - start) / max(1, end - start)
            return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

"""The Lightning module for any network of the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import lightning
import torch
from torch import Tensor, nn

from emotrace.errors import TrainingError, UsageError
from emotrace.models.architecture import (
    HeadKind,
    InputKind,
    Network,
    SequenceOutput,
    split_outputs,
)
from emotrace.training.clip_augmentation import apply_changes, draw_changes
from emotrace.training.losses import LossTerm, count_constant, multi_task_loss
from emotrace.training.pictures import prepare_pictures
from emotrace.training.processes import join_processes, process_count, process_rank
from emotrace.training.starting import hold_frozen_parts
from emotrace.training.zoo.measures import LOSS_MEASURE, choose_monitor, confusion, measure_heads
from emotrace.training.zoo.schedule import PlateauRule, make_optimiser, rate_factor

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from emotrace.training.examples import ExampleBatch, Examples
    from emotrace.training.targets import HeadTargets
    from emotrace.training.zoo.recipe import ZooRecipe

_NAMED: Final = 8
"""Clips that a message lists."""


def loss_terms(heads: Sequence[HeadTargets], recipe: ZooRecipe) -> tuple[LossTerm, ...]:
    """Return a loss for each head.

    Raises:
        UsageError: There are weights for another number of heads.
    """
    settings = recipe.losses
    weights = settings.head_weights or (1.0,) * len(heads)
    if len(weights) != len(heads):
        names = ", ".join(target.head.name for target in heads)
        raise UsageError(
            f"expected a weight for each of the network's {len(heads)} heads ({names}); "
            f"got {len(weights)}"
        )
    terms = []
    for target, weight in zip(heads, weights, strict=True):
        name, kind = target.head.name, target.head.kind
        if kind is HeadKind.CATEGORICAL:
            smoothing = settings.label_smoothing
            terms.append(
                LossTerm(head=name, loss="cross_entropy", weight=weight, label_smoothing=smoothing)
            )
        elif kind is HeadKind.MULTI_LABEL:
            terms.append(LossTerm(head=name, loss="sigmoid", weight=weight))
        else:
            terms.append(LossTerm(head=name, loss=settings.continuous_loss, weight=weight))
    return tuple(terms)


def run_network(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return a network's outputs, `(batch, [time,] outputs)`, from the beginning of a sequence."""
    given = network(inputs)
    outputs: Tensor = given.outputs if isinstance(given, SequenceOutput) else given
    return outputs


def as_inputs(batch_inputs: Tensor, kind: InputKind, options: Any) -> Tensor:
    """Turn a batch as it comes from the data into `(batch, time, ...)` float32.

    Pictures get the network's size and channels; a single picture is a clip of one frame.
    """
    if kind is InputKind.VECTOR_SEQUENCE:
        return batch_inputs.float()
    if kind is InputKind.IMAGE:
        batch_inputs = batch_inputs.unsqueeze(1)
    return prepare_pictures(
        batch_inputs, channels=options.input_channels, size_px=options.input_size_px
    )


def network_inputs(batch_inputs: Tensor, kind: InputKind, options: Any) -> Tensor:
    """Turn a batch as it comes from the data into what the network takes."""
    inputs = as_inputs(batch_inputs, kind, options)
    return inputs[:, 0] if kind is InputKind.IMAGE else inputs


class ZooModule(lightning.LightningModule):
    """Trains one network of the zoo.

    Args:
        network: With its first weights.
        recipe: How to train it.
        kind: What the network takes.
        heads: What its outputs stand for.
        examples: What is learned from, to name clips in messages.
        steps_total: Steps of the optimiser in the whole run.
    """

    def __init__(
        self,
        network: Network,
        recipe: ZooRecipe,
        *,
        kind: InputKind,
        heads: tuple[HeadTargets, ...],
        examples: Examples,
        steps_total: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.recipe, self.kind, self.heads = recipe, kind, heads
        self.monitor = choose_monitor(recipe.stopping.monitor, heads)
        self.last_step: dict[str, float] = {}
        """What the newest training step came to: loss, each head's, learning rate."""
        self.last_validation: dict[str, float] = {}
        self.last_confusions: dict[str, NDArray[np.int64]] = {}
        self.constant_truths = 0
        """Batches so far in which the truth of a CCC loss did not change."""
        self.sample_pictures: Tensor | None = None
        """The first pictures that were learned from in this process, as the network saw them."""
        self._terms = loss_terms(heads, recipe)
        self._examples = examples
        self._steps_total = steps_total
        self._plateau = PlateauRule(recipe.optimiser, self.monitor)
        self._validation: list[tuple[Tensor, dict[str, Tensor], Tensor]] = []

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of a prepared batch."""
        return run_network(self.network, inputs)

    def on_train_start(self) -> None:
        """Keep frozen parts as they are; Lightning has put everything into training mode."""
        hold_frozen_parts(self.network, self.recipe.start.frozen)

    # --- training ---------------------------------------------------------------------------------

    def training_step(self, batch: ExampleBatch, batch_index: int) -> Tensor:
        """Return the loss of the whole global batch, which every process knows.

        Raises:
            TrainingError: The loss is not finite.
        """
        # Drawn afresh from (seed, epoch, step): a resumed run goes on with the very numbers it
        # would have had.
        seed = (self.recipe.seed * 1_000_003 + self.current_epoch) * 100_003 + batch_index
        generator = torch.Generator().manual_seed(seed)
        with torch.autocast(self.device.type, enabled=False):
            inputs = self._augmented(batch, generator)
        if self.sample_pictures is None and self.kind is not InputKind.VECTOR_SEQUENCE:
            self.sample_pictures = inputs.detach().float().cpu()
        # Dropout draws from torch's own generators, which no checkpoint keeps; each process its
        # own.
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)) + process_rank())
        outputs = self(self._shaped(inputs))
        loss, parts = self._loss(outputs, batch)
        if not bool(torch.isfinite(loss)):
            self._refuse(loss, outputs, batch, batch_index)
        rate = self.optimizers().param_groups[0]["lr"]  # type: ignore[union-attr]
        self.last_step = {
            "loss": float(loss.detach()),
            **{f"{name}_loss": float(part.detach()) for name, part in parts.items()},
            "learning_rate": float(rate),
        }
        return loss

    def _augmented(self, batch: ExampleBatch, generator: torch.Generator) -> Tensor:
        inputs = as_inputs(batch.inputs, self.kind, self.recipe.options)
        count = len(inputs) * process_count()
        # Drawn for the whole batch, whatever this process has of it.
        changes = draw_changes(self.recipe.augmentation, count, generator)
        if self.kind is InputKind.VECTOR_SEQUENCE:
            return inputs
        start = process_rank() * len(inputs)
        own = changes.slice(start, start + len(inputs)).to(inputs.device)
        return apply_changes(inputs, own, self.recipe.augmentation)

    def _shaped(self, inputs: Tensor) -> Tensor:
        return inputs[:, 0] if self.kind is InputKind.IMAGE else inputs

    def _loss(self, outputs: Tensor, batch: ExampleBatch) -> tuple[Tensor, dict[str, Tensor]]:
        every = split_outputs(join_processes(outputs.float()), self.network.heads)
        targets = {name: join_processes(values) for name, values in batch.targets.items()}
        for term in self._terms:
            if term.loss == "ccc" and count_constant(targets[term.head]):
                self.constant_truths += 1
        return multi_task_loss(every, targets, self._terms, weights=join_processes(batch.weights))

    def _refuse(self, loss: Tensor, outputs: Tensor, batch: ExampleBatch, batch_index: int) -> None:
        positions = join_processes(batch.positions)
        finite = torch.isfinite(join_processes(outputs.detach().float())).flatten(1).all(dim=1)
        guilty = positions[~finite]
        chosen = (guilty if len(guilty) else positions).tolist()
        names = ", ".join(self._examples.name(at) for at in chosen[:_NAMED])
        more = f" and {len(chosen) - _NAMED} more" if len(chosen) > _NAMED else ""
        what = "outputs that are not finite for" if len(guilty) else "the batch holds"
        raise TrainingError(
            f"expected a finite loss; got {float(loss.detach())} at epoch {self.current_epoch}, "
            f"batch {batch_index}; {what} {names}{more}; look at those clips, lower learning_rate, "
            "set gradient_clip_norm or use precision 32"
        )

    # --- validation -------------------------------------------------------------------------------

    def validation_step(self, batch: ExampleBatch, _: int) -> None:
        """Keep the outputs of one batch, from all processes."""
        inputs = as_inputs(batch.inputs, self.kind, self.recipe.options)
        outputs = join_processes(self(self._shaped(inputs)).float())
        targets = {name: join_processes(values).cpu() for name, values in batch.targets.items()}
        self._validation.append((outputs.cpu(), targets, join_processes(batch.positions).cpu()))

    def on_validation_epoch_end(self) -> None:
        """Score everything that was kept, and log it for whoever watches."""
        kept, self._validation = self._validation, []
        outputs = torch.cat([_rows(values) for values, _, _ in kept])
        names = [target.head.name for target in self.heads]
        targets = {name: torch.cat([_rows(known[name]) for _, known, _ in kept]) for name in names}
        is_first = torch.cat([_first_times(kept, at) for at in range(len(kept))])
        of_heads = split_outputs(outputs[is_first], self.network.heads)
        targets = {name: values[is_first] for name, values in targets.items()}
        loss, _ = multi_task_loss(of_heads, targets, self._terms)
        found = {
            **measure_heads(of_heads, targets, self.heads),
            LOSS_MEASURE: float(loss),
        }
        if self.trainer.sanity_checking:
            return
        self.last_validation = found
        self.last_confusions = {
            target.head.name: confusion(
                of_heads[target.head.name], targets[target.head.name], target.head.size
            )
            for target in self.heads
            if target.head.kind is HeadKind.CATEGORICAL
        }
        self._plateau.observe(found[self.monitor.name])

    # --- the optimiser ----------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """Build the optimiser, and a schedule that is stepped with it."""
        settings = self.recipe.optimiser
        optimiser = make_optimiser(settings, self.network.parameters())

        def factor(step: int) -> float:
            return self._plateau.factor * rate_factor(settings, step, self._steps_total)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the architecture, so that weights are never taken for another's."""
        checkpoint["emotrace_architecture"] = self.recipe.architecture
        checkpoint["emotrace_plateau"] = self._plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the rule for plateaus."""
        self._plateau.load_state_dict(checkpoint["emotrace_plateau"])


def _rows(values: Tensor) -> Tensor:
    """Lay the steps of sequences out as rows."""
    return values.flatten(0, -2)


def _first_times(kept: list[tuple[Tensor, dict[str, Tensor], Tensor]], at: int) -> Tensor:
    """Return a mask over the rows of a batch: those of examples that no earlier place holds.

    Only the last examples of a set come twice, to fill up the last batch.
    """
    outputs, _, positions = kept[at]
    before = torch.cat([kept[at - 1][2], positions]) if at else positions
    offset = len(before) - len(positions)
    is_new = [
        bool((before[: offset + k] != position).all()) for k, position in enumerate(positions)
    ]
    return torch.tensor(is_new).repeat_interleave(outputs[0].numel() // outputs.shape[-1])

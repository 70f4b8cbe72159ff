"""The held-out loss of a model that several processes train together.

The trainer would give each process its part of the rows, and a mean over other batches is another number. So
every process computes the loss of all rows, in the batches of a single process.
"""

from typing import cast

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import Trainer


def log_held_out_loss(trainer: Trainer) -> None:
    """Log the loss of the held-out rows, as the trainer does where it is the only process."""
    model = cast(torch.nn.Module, trainer.model)
    model.eval()
    rows, size = cast(Dataset, trainer.eval_dataset), trainer.args.per_device_eval_batch_size
    batches = DataLoader(rows, batch_size=size, collate_fn=trainer.data_collator)
    total = 0.0
    for place, batch in enumerate(batches):
        loss, _, _ = trainer.prediction_step(model, batch, prediction_loss_only=True)
        total += float(cast(torch.Tensor, loss)) * min(size, len(rows) - place * size)
    trainer.log({"eval_loss": total / len(rows)})

"""Grouped-query attention without copies, where one token is new.

transformers copies every key and value once per query head before it computes (`repeat_kv`) as soon as there
is a mask: for one new token, that is more work than the attention itself. Here the query heads that share a
key-value head are computed as several new tokens of one head, which is the same sum over the same numbers.
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

SHARED = "sdpa, shared keys"
"""Its name among transformers' implementations of attention."""


def share_keys(model: PreTrainedModel) -> None:
    """Switch a loaded model to this attention, where it has grouped heads and uses transformers' `sdpa`."""
    text = model.config.get_text_config()
    heads = getattr(text, "num_attention_heads", None)  # a state-space model has none
    if (
        getattr(text, "num_key_value_heads", None) or heads
    ) == heads or model.config._attn_implementation != "sdpa":
        return
    if not model._supports_attention_backend:  # attention of its own, which asks for "sdpa" by that name
        return
    AttentionInterface.register(SHARED, _attend)
    AttentionMaskInterface.register(SHARED, sdpa_mask)
    model.set_attn_implementation(SHARED)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """From queries `(batch, heads, new, width)` to outputs `(batch, new, heads, width)`."""
    batch, heads, new, width = query.shape
    if new > 1 or heads == key.shape[1] or others.get("position_bias") is not None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **others)
    grouped = query.view(batch, key.shape[1], heads // key.shape[1], width)
    attended = scaled_dot_product_attention(
        grouped, key, value, attn_mask=attention_mask, scale=others.get("scaling")
    )
    return attended.reshape(batch, 1, heads, value.shape[-1]), None

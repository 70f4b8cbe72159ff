"""Tiny random models in hub layout, for tests that need something real to load in well under a second.

Weights are random and seeded, tokenizers are byte-level BPE trained on a few sentences, and every folder has
what a downloaded checkpoint has: config.json, generation_config.json, model.safetensors, tokenizer files and,
where asked, chat_template.jinja. Their answers mean nothing; that the same request gets the same answer does.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from gguf import GGUFWriter
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MptConfig,
    MptForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.utils.logging import disable_progress_bar

BOS, EOS, PAD, TURN_START, TURN_END = "<bos>", "<eos>", "<pad>", "<turn>", "<end>"

SENTENCES = (
    "Question: What is the capital of France? Answer: The capital of France is Paris.",
    "Question: Can people fly by flapping their arms? Answer: No, people cannot fly.",
    "Write two sentences about a tool.\n\nA hammer drives nails. It is heavy.\n",
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on: 0123456789.",
    "Use lowercase only. End with the word done. a saw, a hammer, a nail, done",
)

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    f"{TURN_START}{{{{ message['role'] }}}}\n{{{{ message['content'] }}}}{TURN_END}\n"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{TURN_START}assistant\n{{% endif %}}"
)
"""Begins with the BOS token's text, as Llama's and Gemma's do, and is empty there where there is none."""


def tiny_tokenizer(*, bos: bool = True, chat_template: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level BPE of about 400 tokens. With `bos`, encoding a text puts BOS in front of it."""
    special = [PAD, EOS, TURN_START, TURN_END, *([BOS] if bos else [])]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
        )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS if bos else None,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[TURN_START, TURN_END],
    )
    wrapped.chat_template = CHAT_TEMPLATE if chat_template else None
    return wrapped


def tiny_llama(
    folder: Path, *, bos: bool = True, chat_template: bool = True, seed: int = 0, max_length: int = 256
) -> Path:
    """Rotary positions, grouped key-value heads, tied embeddings. Returns `folder`."""
    return _build(
        folder,
        LlamaForCausalLM,
        lambda ids: LlamaConfig(
            **_shape(max_length),
            num_key_value_heads=2,
            tie_word_embeddings=True,
            initializer_range=0.2,
            **ids,
        ),
        bos=bos,
        chat_template=chat_template,
        seed=seed,
    )


def tiny_qwen2(
    folder: Path, *, bos: bool = False, chat_template: bool = True, seed: int = 0, max_length: int = 256
) -> Path:
    """Like Llama, with biases in attention and, as Qwen's own, no BOS token."""
    return _build(
        folder,
        Qwen2ForCausalLM,
        lambda ids: Qwen2Config(**_shape(max_length), num_key_value_heads=2, initializer_range=0.2, **ids),
        bos=bos,
        chat_template=chat_template,
        seed=seed,
    )


def tiny_gemma3(
    folder: Path,
    *,
    bos: bool = True,
    chat_template: bool = True,
    seed: int = 0,
    max_length: int = 256,
    window: int = 16,
) -> Path:
    """Sliding-window layers (`window` tokens) between full ones, query and key norms, scaled embeddings."""
    return _build(
        folder,
        Gemma3ForCausalLM,
        lambda ids: Gemma3TextConfig(
            **_shape(max_length),
            num_key_value_heads=1,
            head_dim=8,
            sliding_window=window,
            layer_types=["sliding_attention", "full_attention"],
            initializer_range=0.2,
            **ids,
        ),
        bos=bos,
        chat_template=chat_template,
        seed=seed,
    )


def tiny_gpt2(
    folder: Path, *, bos: bool = False, chat_template: bool = False, seed: int = 0, max_length: int = 256
) -> Path:
    """Learned positions: no token may stand at `max_length` or beyond."""
    return _build(
        folder,
        GPT2LMHeadModel,
        lambda ids: GPT2Config(
            n_embd=32, n_layer=2, n_head=4, n_positions=max_length, initializer_range=0.2, **ids
        ),
        bos=bos,
        chat_template=chat_template,
        seed=seed,
    )


def tiny_gemma2(folder: Path, *, seed: int = 0, max_length: int = 256, window: int = 16) -> Path:
    """Logits and attention scores softly capped, windows in every other layer."""
    return _build(
        folder,
        Gemma2ForCausalLM,
        lambda ids: Gemma2Config(
            **_shape(max_length),
            num_key_value_heads=2,
            head_dim=8,
            sliding_window=window,
            final_logit_softcapping=2.0,
            attn_logit_softcapping=2.0,
            initializer_range=0.2,
            **ids,
        ),
        bos=True,
        chat_template=True,
        seed=seed,
    )


def tiny_mistral(folder: Path, *, seed: int = 0, max_length: int = 256, window: int = 16) -> Path:
    """A window in every layer."""
    return _build(
        folder,
        MistralForCausalLM,
        lambda ids: MistralConfig(
            **_shape(max_length), num_key_value_heads=2, sliding_window=window, initializer_range=0.2, **ids
        ),
        bos=True,
        chat_template=True,
        seed=seed,
    )


def tiny_bloom(folder: Path, *, seed: int = 0) -> Path:
    """Distances counted by place in the batch (ALiBi): no tree of tokens can be put before it."""
    return _build(
        folder,
        BloomForCausalLM,
        lambda ids: BloomConfig(hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2, **ids),
        bos=False,
        chat_template=False,
        seed=seed,
    )


def tiny_mpt(folder: Path, *, seed: int = 0) -> Path:
    """Distances counted by place, by a model that takes any mask."""
    return _build(
        folder,
        MptForCausalLM,
        lambda ids: MptConfig(d_model=32, n_heads=4, n_layers=2, max_seq_len=256, **ids),
        bos=False,
        chat_template=False,
        seed=seed,
    )


def tiny_gpt_neo(folder: Path, *, seed: int = 0, max_length: int = 256) -> Path:
    """A window that counts by place in cache and pass, as the causal mask does."""
    return _build(
        folder,
        GPTNeoForCausalLM,
        lambda ids: GPTNeoConfig(
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            window_size=100,
            max_position_embeddings=max_length,
            initializer_range=0.2,
            **ids,
        ),
        bos=False,
        chat_template=False,
        seed=seed,
    )


def tiny_longrope(folder: Path, *, seed: int = 0, max_length: int = 256) -> Path:
    """Rotations of another kind in passes that reach beyond 64 tokens."""
    factors = {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    return _build(
        folder,
        Phi3ForCausalLM,
        lambda ids: Phi3Config(
            **_shape(max_length),
            original_max_position_embeddings=64,
            rope_parameters={"rope_type": "longrope", "rope_theta": 10_000.0, **factors},
            initializer_range=0.2,
            **ids,
        ),
        bos=False,
        chat_template=False,
        seed=seed,
    )


def tiny_opt(folder: Path, *, seed: int = 0, max_length: int = 256) -> Path:
    """Learned positions that start at 2."""
    return _build(
        folder,
        OPTForCausalLM,
        lambda ids: OPTConfig(
            hidden_size=32,
            ffn_dim=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=max_length,
            word_embed_proj_dim=32,
            init_std=0.2,
            **ids,
        ),
        bos=False,
        chat_template=False,
        seed=seed,
    )


def tiny_adapter(folder: Path, base: Path, *, seed: int = 0) -> Path:
    """A LoRA adapter for `base` whose weights are not zero, so that applying it changes every answer."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    adapted = get_peft_model(
        model, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    )
    adapted.save_pretrained(folder)
    return folder


def tiny_gguf(file: Path, llama: Path, *, eos: str = TURN_END) -> Path:
    """The weights and tokenizer of a `tiny_llama` without BOS as a GGUF file, in float32.

    Its end of text is `eos`, and its first special token PAD is its BOS, so that the two differ.
    """
    tokenizer, state = AutoTokenizer.from_pretrained(llama), load_file(llama / "model.safetensors")
    config = LlamaConfig.from_pretrained(llama)
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = tokenizer.get_vocab()
    words = sorted(vocabulary, key=lambda word: vocabulary[word])
    words += [f"<unused{number}>" for number in range(config.vocab_size - len(words))]
    writer = GGUFWriter(file, "llama")
    writer.add_name("tiny")
    for name, value in {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "rope.dimension_count": config.head_dim,
        "vocab_size": config.vocab_size,
    }.items():
        writer.add_uint32(f"llama.{name}", value)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([3 if word.startswith("<") and word.endswith(">") else 1 for word in words])
    writer.add_token_merges([" ".join(merge) for merge in described["model"]["merges"]])
    writer.add_bos_token_id(vocabulary[PAD])
    writer.add_eos_token_id(vocabulary[eos])
    writer.add_unk_token_id(vocabulary[PAD])
    writer.add_pad_token_id(vocabulary[PAD])
    if tokenizer.chat_template is not None:
        writer.add_chat_template(tokenizer.chat_template)
    for name, weight in state.items():
        writer.add_tensor(_gguf_name(name), _as_llama_cpp(name, weight, config).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "model.layers.": "blk.",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def _gguf_name(name: str) -> str:
    for ours, theirs in GGUF_NAMES.items():
        name = name.replace(ours, theirs)
    return name


def _as_llama_cpp(name: str, weight: torch.Tensor, config: LlamaConfig) -> torch.Tensor:
    """llama.cpp rotates neighbouring numbers of queries and keys, transformers those half a head apart."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for kind, number in heads.items():
        if kind in name:
            rows, columns = weight.shape
            halves = weight.reshape(number, 2, rows // number // 2, columns)
            return halves.swapaxes(1, 2).reshape(rows, columns).contiguous()
    return weight


def _shape(max_length: int) -> dict[str, int]:
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": max_length,
    }


def _build(
    folder: Path,
    architecture: type[PreTrainedModel],
    config: Callable[[dict[str, int | None]], PretrainedConfig],
    *,
    bos: bool,
    chat_template: bool,
    seed: int,
) -> Path:
    disable_progress_bar()
    tokenizer = tiny_tokenizer(bos=bos, chat_template=chat_template)
    ids = {
        "vocab_size": len(tokenizer) + 1,  # Qwen2's tokenizer class adds a token of its own when it is loaded
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    torch.manual_seed(seed)
    model = architecture(config(ids)).to(torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

"""The starter model's network: a small Llama, in plain PyTorch.

Parameter names and shapes are those of transformers' ``LlamaForCausalLM`` (tied embeddings), so that the saved
state loads in vLLM and transformers unchanged. Nothing here imports Django.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

QUERY_BLOCK = 128


@dataclass(frozen=True)
class ModelShape:
    """Sizes of the network. ``head_dim`` is fixed at 32, the smallest that vLLM's CPU attention supports."""

    vocab_size: int = 2048
    hidden_size: int = 192
    intermediate_size: int = 512
    num_layers: int = 6
    num_heads: int = 8
    head_dim: int = 32
    rope_theta: float = 10_000.0
    max_positions: int = 2048
    rms_norm_eps: float = 1e-5


def rope_tables(shape: ModelShape, length: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine tables, each [length, head_dim], in the half-split layout of Llama."""
    inverse = shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2, dtype=torch.float32) / shape.head_dim)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), inverse)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary positions to ``x`` [batch, heads, length, head_dim]."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention over [batch, heads, length, head_dim], by what a CPU is quicker at for the numbers' kind."""
    if q.dtype == torch.bfloat16:
        return blockwise(q, k, v)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def blockwise(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention over [batch, heads, length, head_dim], a block of queries at a time.

    In bfloat16 on a CPU this takes half of the time of torch's own kernel, which was half of a step.
    """
    q = q * q.shape[-1] ** -0.5
    mixed = []
    for start in range(0, q.shape[2], QUERY_BLOCK):
        end = min(start + QUERY_BLOCK, q.shape[2])
        scores = q[:, :, start:end] @ k[:, :, :end].transpose(-1, -2)
        future = torch.ones(end - start, end - start, dtype=torch.bool, device=q.device).triu(1)
        own = scores[..., start:].masked_fill(future, -1e4)
        weights = torch.softmax(torch.cat((scores[..., :start], own), -1), -1, dtype=scores.dtype)
        mixed.append(weights @ v[:, :, :end])
    return torch.cat(mixed, 2)


class RMSNorm(nn.Module):
    """Root-mean-square norm with a learned scale."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis of ``x``."""
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class Attention(nn.Module):
    """Causal self-attention without bias."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        size, width = shape.hidden_size, shape.num_heads * shape.head_dim
        self.heads, self.head_dim = shape.num_heads, shape.head_dim
        self.q_proj = nn.Linear(size, width, bias=False)
        self.k_proj = nn.Linear(size, width, bias=False)
        self.v_proj = nn.Linear(size, width, bias=False)
        self.o_proj = nn.Linear(width, size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Map ``x`` [batch, length, hidden] to the same shape."""
        batch, length, _ = x.shape
        q, k, v = (
            p(x).view(batch, length, self.heads, self.head_dim).transpose(1, 2)
            for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = attend(rotate(q, cos, sin), rotate(k, cos, sin), v)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))

    def at(self, x: Tensor, cos: Tensor, sin: Tensor, places: Tensor) -> Tensor:
        """As :meth:`forward`, for the ``places`` [batch, count] of the length alone: [batch, count, hidden]."""
        batch, length, size = x.shape
        k, v = (p(x).view(batch, length, self.heads, self.head_dim).transpose(1, 2) for p in (self.k_proj, self.v_proj))
        asking = self.q_proj(x.gather(1, places[..., None].expand(-1, -1, size)))
        q = asking.view(batch, -1, self.heads, self.head_dim).transpose(1, 2)
        q = rotate(q, cos[places][:, None], sin[places][:, None]) * self.head_dim**-0.5
        scores = q @ rotate(k, cos, sin).transpose(-1, -2)
        future = torch.arange(length, device=x.device) > places[:, None, :, None]
        weights = torch.softmax(scores.masked_fill(future, -1e4), -1, dtype=scores.dtype)
        return self.o_proj((weights @ v).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """SwiGLU feed-forward."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` [..., hidden] to the same shape."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.mlp = MLP(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Map ``x`` [batch, length, hidden] to the same shape."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))

    def at(self, x: Tensor, cos: Tensor, sin: Tensor, places: Tensor) -> Tensor:
        """As :meth:`forward`, for the ``places`` [batch, count] of the length alone: [batch, count, hidden]."""
        chosen = x.gather(1, places[..., None].expand(-1, -1, x.shape[-1]))
        chosen = chosen + self.self_attn.at(self.input_layernorm(x), cos, sin, places)
        return chosen + self.mlp(self.post_attention_layernorm(chosen))


class Llama(nn.Module):
    """Embedding, layers and final norm; the output projection is the embedding (tied)."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.num_layers))
        self.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        cos, sin = rope_tables(shape, shape.max_positions)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.apply(self._start)

    def _start(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02 if isinstance(module, nn.Embedding) else 0.03)

    def hidden(self, tokens: Tensor) -> Tensor:
        """Final hidden states [batch, length, hidden] of ``tokens`` [batch, length] (int64)."""
        length = tokens.shape[1]
        x = self.embed_tokens(tokens)
        cos, sin = self.cos[:length], self.sin[:length]
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy over the positions whose target is not -100; both [batch, length]."""
        keep = targets >= 0
        # Only the assistant's tokens are scored, a quarter: the last layer is worked out at those places alone.
        count = max(1, int(keep.sum(1).max()))
        places = torch.topk(keep.int(), count, dim=1, sorted=False).indices
        x = self.embed_tokens(tokens)
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        for layer in self.layers[:-1]:
            x = layer(x, cos, sin)
        states = self.norm(self.layers[-1].at(x, cos, sin, places))
        wanted = targets.gather(1, places)
        scored = wanted >= 0
        return F.cross_entropy(F.linear(states[scored], self.embed_tokens.weight), wanted[scored])

    def next_logits(self, tokens: Tensor, last: Tensor) -> Tensor:
        """Logits [batch, vocab] after position ``last`` [batch] of right-padded ``tokens`` [batch, length]."""
        states = self.hidden(tokens)[torch.arange(tokens.shape[0]), last]
        return F.linear(states, self.embed_tokens.weight)

    def parameter_count(self) -> int:
        """Number of learned values (the tied embedding once)."""
        return sum(p.numel() for p in self.parameters())

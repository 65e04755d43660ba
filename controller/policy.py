"""The LSTM policy: one network that chooses all decisions of a space in turn.

Neural architecture search's controller (arXiv:1611.01578, section 3.1; settings of arXiv:1707.07012, appendix A.1,
which MnasNet reuses): one LSTM layer, one softmax for each decision, fed with the embedding of the decision before.

Shapes: B sequences, D decisions, C the largest number of choices, H hidden units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_space.decision import Decision, Tokens

_NEVER = -1e9  # a logit that makes a padded choice impossible and, unlike -inf, keeps 0 * log 0 at 0


@dataclass(frozen=True, slots=True)
class Scored:
    """Token sequences and what the policy says of them."""

    tokens: Tensor
    """(B, D) chosen tokens, 0 where a decision does not apply."""
    log_probs: Tensor
    """(B,) log-probability of each sequence."""
    entropy: Tensor
    """(B,) sum over decisions of the entropy of the whole softmax, given the choices before it."""
    probabilities: Tensor
    """(B, D, C) the softmaxes, no gradient."""
    asked: Tensor
    """(B, D) whether the decision applied."""

    def sequences(self) -> list[Tokens]:
        """The tokens as values."""
        return [tuple(row) for row in self.tokens.tolist()]

    def marginals(self, decisions: Sequence[Decision]) -> list[list[float]]:
        """Probability of each choice of each decision, averaged over the sequences that are asked; zeros if none is."""
        weight = self.asked.unsqueeze(-1).to(self.probabilities.dtype)
        mean = (self.probabilities * weight).sum(0) / weight.sum(0).clamp(min=1)
        rows = zip(decisions, mean.tolist(), strict=True)
        return [[round(p, 4) for p in row[: len(decision.choices)]] for decision, row in rows]


class Policy(nn.Module):
    """An autoregressive distribution over the token sequences of a space.

    It computes in float64: the network is tiny, and what it proposes must not hang on the rounding of a
    particular machine or number of threads.
    """

    padding: Tensor

    def __init__(self, decisions: Sequence[Decision], hidden: int, init_range: float, seed: int) -> None:
        """Make the network, weights uniform in +-`init_range`.

        Args:
            decisions: The questions, in order.
            hidden: LSTM units, and size of the embeddings.
            init_range: Bound of the initial weights.
            seed: Of the initial weights.
        """
        super().__init__()
        sizes = [len(decision.choices) for decision in decisions]
        self.decisions = tuple(decisions)
        self.embedding = nn.Embedding(1 + sum(sizes), hidden)  # row 0 starts the sequence
        self.cell = nn.LSTMCell(hidden, hidden)
        self.head = nn.Parameter(torch.empty(len(sizes), hidden, max(sizes)))
        self.head_bias = nn.Parameter(torch.empty(len(sizes), max(sizes)))
        self._rows = [1, *sizes]  # of the embeddings that each decision reads: the choices of the one before
        self.register_buffer(
            "padding", torch.tensor([[0.0 if c < size else _NEVER for c in range(max(sizes))] for size in sizes])
        )
        self.double()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-init_range, init_range, generator=generator)
        self._requires = [
            [(index, torch.tensor([t in allowed for t in range(sizes[index])])) for index, allowed in decision.requires]
            for decision in decisions
        ]

    def draw(self, count: int, generator: torch.Generator) -> list[Tokens]:
        """Sample `count` sequences, to propose and not to learn from."""
        with torch.no_grad():
            scored: Scored = self(count=count, generator=generator)
        return scored.sequences()

    def forward(
        self, tokens: Tensor | None = None, *, count: int = 0, generator: torch.Generator | None = None
    ) -> Scored:
        """Score `tokens`, or sample `count` sequences and score them: one code path for both.

        Args:
            tokens: (B, D) sequences to score; None to sample.
            count: How many sequences to sample.
            generator: Randomness of the samples.
        """
        batch = count if tokens is None else tokens.shape[0]
        chosen: list[Tensor] = []
        every_logits, every_applies = [], []
        # Taken apart at once: each of so small operations costs more than its arithmetic, and has its own gradient.
        embeddings, heads, biases = self.embedding.weight.split(self._rows), self.head.unbind(), self.head_bias.unbind()
        cell = self.cell.weight_ih, self.cell.weight_hh, self.cell.bias_ih, self.cell.bias_hh
        state = (embeddings[0].new_zeros(batch, self.cell.hidden_size),) * 2
        previous = torch.zeros(batch, dtype=torch.long)
        for i in range(len(self.decisions)):
            state = torch.lstm_cell(functional.embedding(previous, embeddings[i]), state, *cell)
            logits = torch.addmm(biases[i], state[0], heads[i]) + self.padding[i]
            applies = self._applies(i, chosen, batch)
            if tokens is None:
                softmax = logits.detach().log_softmax(-1).exp()
                token = torch.multinomial(softmax, 1, generator=generator).squeeze(-1) * applies
            else:
                token = tokens[:, i]
            previous = token
            chosen.append(token)
            every_logits.append(logits)
            every_applies.append(applies)
        log_softmax = torch.stack(every_logits, 1).log_softmax(-1)
        softmax, sequences, asked = log_softmax.exp(), torch.stack(chosen, 1), torch.stack(every_applies, 1)
        log_probs = log_softmax.gather(-1, sequences.unsqueeze(-1)).squeeze(-1) * asked
        entropies = -(softmax * log_softmax).sum(-1) * asked
        return Scored(sequences, log_probs.sum(1), entropies.sum(1), softmax.detach(), asked)

    def _applies(self, index: int, chosen: Sequence[Tensor], batch: int) -> Tensor:
        """(B,) whether decision `index` is asked after the choices made so far."""
        applies = torch.ones(batch, dtype=torch.bool)
        for earlier, allowed in self._requires[index]:
            applies = applies & allowed[chosen[earlier]]
        return applies

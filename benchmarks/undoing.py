"""Networks that try to undo an anonymization: from what a changed face looks like to who it was.

An attacker who has the tool has as many pairs of photo and result as he likes. All attacks here see
what several encoders say of the changed face, and the last one sees its pixels, too; each is
trained to name the embedding of the original under every encoder: the first by least squares, the
others against the embeddings of all his other originals (InfoNCE, arXiv 1807.03748, eq. 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from anonyface.types import FloatArray
from anonyface.verification.encoder import unit
from benchmarks.regression import apply_map, best_ridge

CHIP_PX = 64
HELD_OUT = 0.15
"""Share of the attacker's photos by which he chooses penalty, epoch and attack."""
HIDDEN = 512
EPOCHS = {"network": 60, "network with pixels": 40}
BATCH = 128
TEMPERATURE = 0.07
"""Of InfoNCE, as usual since arXiv 1911.05722."""
RATE, DECAY = 1e-3, 1e-2
"""Of AdamW."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What an attacker sees of changed faces.

    Attributes:
        vectors: (n, d) embeddings of all encoders beside each other.
        chips: (n, 64, 64, 3) RGB uint8 aligned faces.
    """

    vectors: FloatArray
    chips: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Seen:
        return Seen(self.vectors[rows], self.chips[rows])


@dataclass(frozen=True, eq=False)
class Guess:
    """What one attack says.

    Attributes:
        originals: Encoder -> (n, d) guessed embeddings of length 1 of the victims' originals.
        own: Encoder -> share of the attacker's held-out photos that he would find first.
    """

    originals: dict[str, FloatArray]
    own: dict[str, float]


class Undo(nn.Module):
    """A linear map, corrected by a small network; a head for each encoder.

    Args:
        start: Encoder -> (d + 1, e) linear map to begin with, its last row the bias.
        sees: "vectors", or "pixels" for these besides.
    """

    def __init__(self, start: Mapping[str, FloatArray], sees: str) -> None:
        super().__init__()
        dims = len(next(iter(start.values()))) - 1
        self.eye = _eye() if sees == "pixels" else None
        width = dims + (256 if self.eye is not None else 0)
        self.trunk = nn.Sequential(
            nn.Linear(width, HIDDEN),
            nn.GELU(),
            nn.Dropout(0.3),
            nn.Linear(HIDDEN, HIDDEN),
            nn.GELU(),
        )
        self.linear, self.heads = nn.ModuleDict(), nn.ModuleDict()
        for number, matrix in enumerate(start.values()):
            known = nn.Linear(dims, matrix.shape[1])
            with torch.no_grad():
                known.weight.copy_(torch.from_numpy(matrix[:-1].T.copy()))
                known.bias.copy_(torch.from_numpy(matrix[-1].copy()))
            head = nn.Linear(HIDDEN, matrix.shape[1])
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
            self.linear[str(number)], self.heads[str(number)] = known, head

    def forward(self, vectors: Tensor, chips: Tensor) -> list[Tensor]:
        """Return an (n, e) guess of length 1 for every encoder."""
        seen = vectors if self.eye is None else torch.cat([vectors, self.eye(chips)], dim=1)
        inner = self.trunk(seen)
        return [
            nn.functional.normalize(self.linear[k](vectors) + self.heads[k](inner), dim=1)
            for k in self.linear
        ]


def _eye() -> nn.Module:
    """(n, 3, 64, 64) -> (n, 256)."""
    layers: list[nn.Module] = []
    for inside, outside in ((3, 32), (32, 64), (64, 128), (128, 256)):
        layers += [
            nn.Conv2d(inside, outside, 3, stride=2, padding=1),
            nn.GroupNorm(8, outside),
            nn.GELU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def attack(
    seen: Seen,
    originals: Mapping[str, FloatArray],
    victims: Seen,
    *,
    seed: int,
    epochs: Mapping[str, int] = EPOCHS,
) -> dict[str, Guess]:
    """Train every attack on an attacker's photos and let it guess who the victims were.

    Args:
        seen: What the attacker sees of his own photos after the change, none of them NaN.
        originals: Encoder -> (n, d) embeddings of length 1 of his photos before.
        victims: What he sees of others' changed photos, none of them NaN.
        seed: Of the split, the networks and the batches.
        epochs: Attack -> how long it is trained; networks left out are not.

    Returns:
        Attack -> its guess.
    """
    n = len(seen.vectors)
    order = np.random.default_rng(seed).permutation(n)
    held, train = np.split(order, [max(2, round(HELD_OUT * n))])
    mean, deviation = seen.vectors[train].mean(axis=0), seen.vectors[train].std() + 1e-9
    scaled = Seen((seen.vectors - mean) / deviation, seen.chips)
    there = Seen((victims.vectors - mean) / deviation, victims.chips)
    start = {
        name: best_ridge(
            scaled.vectors[train],
            table[train],
            lambda matrix, t=table: closeness(apply_map(matrix, scaled.vectors[held]), t[held]),
        )
        for name, table in originals.items()
    }
    guesses = {"linear": _linear_guess(start, scaled[held], there, _rows(originals, held))}
    for name, rounds in epochs.items():
        sees = "pixels" if name == "network with pixels" else "vectors"
        net = fit(start, sees, scaled, originals, train, held, rounds=rounds, seed=seed)
        own = guess(net, scaled[held])
        guesses[name] = Guess(
            dict(zip(start, guess(net, there), strict=True)),
            {
                encoder: found_first(mine, originals[encoder][held])
                for encoder, mine in zip(start, own, strict=True)
            },
        )
    return guesses


def closeness(guessed: FloatArray, originals: FloatArray) -> float:
    """Return the mean cosine of guesses and originals of length 1."""
    return float((unit(guessed) * originals).sum(axis=1).mean())


def found_first(guessed: FloatArray, originals: FloatArray) -> float:
    """Return the share of guesses whose own original is the closest."""
    return float((np.argmax(guessed @ originals.T, axis=1) == np.arange(len(guessed))).mean())


def _rows(tables: Mapping[str, FloatArray], rows: np.ndarray) -> dict[str, FloatArray]:
    return {name: table[rows] for name, table in tables.items()}


def _linear_guess(
    start: Mapping[str, FloatArray], held: Seen, victims: Seen, originals: Mapping[str, FloatArray]
) -> Guess:
    return Guess(
        {name: unit(apply_map(matrix, victims.vectors)) for name, matrix in start.items()},
        {
            name: found_first(unit(apply_map(matrix, held.vectors)), originals[name])
            for name, matrix in start.items()
        },
    )


def fit(
    start: Mapping[str, FloatArray],
    sees: str,
    seen: Seen,
    originals: Mapping[str, FloatArray],
    train: np.ndarray,
    held: np.ndarray,
    *,
    rounds: int,
    seed: int,
) -> Undo:
    """Train a network; it ends as it was after the epoch that did best on the held-out photos."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Undo(start, sees)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    targets = [torch.from_numpy(table) for table in originals.values()]
    best, state = _loss_of(net, seen, targets, held), _copy(net)
    for _ in range(rounds):
        net.train()
        for batch in np.array_split(rng.permutation(train), max(1, len(train) // BATCH)):
            vectors, chips = _tensors(net, seen[batch], flip=rng.random() < 0.5)
            loss = _loss(net(vectors, chips), [t[batch] for t in targets])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        now = _loss_of(net, seen, targets, held)
        if now < best:
            best, state = now, _copy(net)
    net.load_state_dict(state)
    return net


def guess(net: Undo, seen: Seen) -> list[FloatArray]:
    """Return an (n, e) guess for every encoder."""
    net.eval()
    with torch.inference_mode():
        return [part.numpy() for part in net(*_tensors(net, seen))]


def _copy(net: Undo) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def _tensors(net: Undo, seen: Seen, *, flip: bool = False) -> tuple[Tensor, Tensor]:
    """Return vectors and chips for a network; no chips for one that does not see them."""
    if net.eye is None:
        return torch.from_numpy(seen.vectors), torch.empty(0)
    chips = seen.chips[:, :, ::-1] if flip else seen.chips
    # NHWC uint8 => NCHW in [-1, 1]
    pixels = torch.from_numpy(np.ascontiguousarray(chips.transpose(0, 3, 1, 2))).float()
    return torch.from_numpy(seen.vectors), pixels / 127.5 - 1


def _loss(guesses: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Mean over the encoders: each guess must pick its own original out of the batch."""
    own = torch.arange(len(guesses[0]))
    return torch.stack(
        [
            nn.functional.cross_entropy(a @ b.T / TEMPERATURE, own)
            for a, b in zip(guesses, targets, strict=True)
        ]
    ).mean()


def _loss_of(net: Undo, seen: Seen, targets: Sequence[Tensor], rows: np.ndarray) -> float:
    net.eval()
    with torch.inference_mode():
        return float(_loss(net(*_tensors(net, seen[rows])), [t[rows] for t in targets]))

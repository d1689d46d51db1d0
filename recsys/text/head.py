"""The trainable head of the interest match, in torch; `interest` scores with it in numpy."""

import numpy as np
import torch
from torch import Tensor, nn

from recsys.text.interest import HIDDEN, SCALES, Grown, InterestTable

_ATTENTION = 64


class InterestModel(nn.Module):
    """The head on frozen text vectors.

    Args:
        dim: Length of a text vector.
        kinds: Number of kinds of interaction.
        dropout: Share of vector entries dropped in training.
        space: Dimensions of the space of matches at the most; None for as many as `dim`.
    """

    def __init__(self, dim: int, kinds: int, dropout: float, space: int | None = None) -> None:
        super().__init__()
        self.dim, self.kinds, self.space = dim, kinds, min(space or dim, dim)
        self.item = _identity(dim, self.space)
        self.past = _identity(dim, self.space)
        self.query = _identity(dim, self.space)
        self.attend = nn.Sequential(
            nn.Linear(self.space, _ATTENTION), nn.Tanh(), nn.Linear(_ATTENTION, 1)
        )
        self.kind = nn.Parameter(torch.zeros(kinds))
        self.recency = nn.Parameter(torch.zeros(2))
        self.default = nn.Parameter(torch.zeros(self.space))
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.sharp_scale = nn.Parameter(torch.tensor(5.0))
        self.query_scale = nn.Parameter(torch.tensor(5.0))
        self.sharpness = nn.Parameter(torch.tensor(10.0))
        self.dropout = nn.Dropout(dropout)

    def begin_along(self, vectors: np.ndarray) -> None:
        """Initialise every tower with the directions in which texts differ most.

        An untrained match is then nearly the cosine of the text vectors. Where the space is as wide
        as the vectors the towers begin as they are, with all directions.

        Args:
            vectors: Of texts, float32 [n_texts, dim]; NaN rows are passed by.
        """
        if self.space == self.dim:
            return
        directions = torch.from_numpy(leading_directions(vectors, self.space).T)
        with torch.no_grad():
            for layer in (self.item, self.past, self.query):
                layer.weight.copy_(directions)

    def tower(self, which: nn.Linear, vectors: Tensor) -> Tensor:
        """Bring text vectors into the space of matches, [..., dim], rows of length 1."""
        return nn.functional.normalize(which(self.dropout(vectors)), dim=-1)

    def attention(self, past: Tensor, kind: Tensor, age: Tensor) -> Tensor:
        """Give the logit of each past item.

        Args:
            past: Past items in the space of matches, [..., k, dim].
            kind: Place of the interaction's kind, int64 [..., k]; clipped at 0.
            age: log(1 + days) since the interaction, [..., k].

        Returns:
            Logits, [..., k].
        """
        return self.attend(past).squeeze(-1) + self.circumstances(kind, age)

    def circumstances(self, kind: Tensor, age: Tensor) -> Tensor:
        """Give the part of the attention's logit that is not the item's, [..., k]."""
        recency = self.recency[0] * age + self.recency[1] * age.square() / 5
        return self.kind[kind.clamp(min=0)] + recency

    def pool(self, similarity: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
        """Weigh the similarities of a candidate to the history.

        Args:
            similarity: s_j, [..., n, k].
            logits: Of the attention, [..., 1, k] or like similarity.
            mask: Which past items count, bool [..., n, k].

        Returns:
            Scaled sum of both attentions, [..., n]; 0 where no past item counts.
        """
        hidden = ~mask
        some = mask.any(-1, keepdim=True)
        broad = logits.expand_as(similarity).masked_fill(hidden, float(HIDDEN))
        sharp = broad + self.sharpness * similarity
        zero = torch.zeros((), dtype=similarity.dtype)
        even = torch.where(some, broad.softmax(-1) * similarity, zero).sum(-1)
        peaked = torch.where(some, sharp.softmax(-1) * similarity, zero).sum(-1)
        return self.scale * even + self.sharp_scale * peaked


def leading_directions(vectors: np.ndarray, count: int) -> np.ndarray:
    """Find the directions that hold most of the length of some vectors.

    Args:
        vectors: float32 [n, dim]; NaN rows are passed by.
        count: Directions at the most.

    Returns:
        float32 [dim, count], columns of length 1, orthogonal, the weightiest first.
    """
    known = vectors[~np.isnan(vectors[:, 0])].astype(np.float64)
    _, directions = np.linalg.eigh(known.T @ known)
    return directions[:, ::-1][:, :count].astype(np.float32)


def _identity(dim: int, space: int) -> nn.Linear:
    layer = nn.Linear(dim, space)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(space, dim))
        layer.bias.zero_()
    return layer


def table_of(model: InterestModel, vectors: np.ndarray) -> InterestTable:
    """Pass texts through the towers once.

    Args:
        model: The trained head.
        vectors: float32 [n_texts, dim].

    Returns:
        The table that scores requests.
    """
    model = model.eval()
    with torch.inference_mode():
        text = torch.from_numpy(vectors)
        past = model.tower(model.past, text)
        logits = model.attend(past).squeeze(-1).numpy()
        items = model.tower(model.item, text).numpy()
    arrays = {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}
    scales = np.array([arrays.pop(name) for name in SCALES], np.float32)
    weights = {**arrays, "scales": scales}
    return InterestTable(Grown(items), Grown(past.numpy()), Grown(logits), weights)


def head_of(table: InterestTable) -> InterestModel:
    """Give the head that a table was made with.

    Args:
        table: From `table_of`, or from a bundle.

    Returns:
        The head; no gradients are taken of it.
    """
    weights = {name: torch.from_numpy(array) for name, array in table.weights.items()}
    scales = dict(zip(SCALES, weights.pop("scales"), strict=True))
    model = InterestModel(table.dim, len(weights["kind"]), 0.0, len(weights["default"]))
    model.load_state_dict({**weights, **scales})
    return model.eval().requires_grad_(requires_grad=False)

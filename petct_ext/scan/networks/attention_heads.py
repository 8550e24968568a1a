"""Attention-pooled classification of several regions from one feature map.

Shape letters used in this module:
    B  exams in the batch
    C  channels of the feature map
    N  positions of the feature map, the product of its spatial sizes
    R  regions (tasks)
    H  attention heads per region
    D  channels per attention head, C / H
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from petct_ext.bundle.settings import is_on
from petct_ext.errors import InputDataError

__all__ = ["RegionAttentionHead"]


class RegionAttentionHead(nn.Module):
    r"""One binary classifier per region, each with its own attention over the feature map.

    Region ``r`` pools the features ``x_n`` of all positions with ``H`` attention heads and
    classifies the concatenated result:

    .. math::
        a_{rhn} &= \operatorname{softmax}_n(q_{rh} \cdot x_n / \sqrt{D}) \\
        z_{rh} &= V_{rh} \sum_n a_{rhn} x_n + b_{rh} \\
        \text{logit}_r &= w_r \cdot [z_{r1}, \dots, z_{rH}] + c_r

    This is the multi-task attention of Eyuboglu et al. (2021), reordered. They project
    every position to keys and values first. A linear map commutes with the weighted sum,
    the product of two linear maps is one linear map, and a bias that is equal at all
    positions does not change a softmax. Pooling first and projecting the pooled vectors
    therefore gives the same function with about ``D`` times fewer multiplications (122 times
    for C = 1024, H = 8, N = 26 * 7 * 7) and without ``N * C`` keys and values per region.
    ``test_equals_projecting_every_position`` holds this claim.

    With ``num_frequencies`` above 0 the scores get a term for the place, which the paper does not
    have: ``p_rh`` times (x, y, z and the sines and cosines of ``k * pi / 2`` times them), where
    each coordinate runs from -1 to 1 over the exam. A head then learns where its region lies
    before it learns what the region looks like, which is worth much when exams are few and
    nothing when they cover different parts of the body.

    ``pooling`` and ``project_values`` give the ablations of the paper. Without projection
    (``V_rh`` is the identity and ``D`` is ``C``, scores are not scaled) and with one head this is
    the head as the paper's text describes it; "sum" and "mean" put 1 or 1 / N everywhere.

    Args:
        in_channels: ``C``; must be divisible by ``num_heads`` where values are projected.
        num_regions: ``R``. Output ``r`` belongs to the r-th region of the configuration.
        num_heads: ``H``.
        dropout: probability of dropping a channel of the pooled vectors during training.
        num_frequencies: ``k`` runs from 1 to it; 0 is the paper's head. Needs three spatial axes.
        pooling: "attention", or "sum" or "mean" over the positions that are not padding, with one
            head and no projection. The sum grows with the exam and needs a small learning rate.
        project_values: the authors' published parameters (true) or the paper's text.

    Raises:
        ValueError: if a size is not positive, ``num_heads`` does not divide ``in_channels``, or
            options contradict one another.

    References:
        Eyuboglu, Angus et al. Multi-task weak supervision enables anatomically-resolved
        abnormality detection in whole-body FDG-PET/CT. Nature Communications 12 (2021).
    """

    def __init__(
        self,
        in_channels: int,
        num_regions: int,
        *,
        num_heads: int = 8,
        dropout: float = 0.0,
        num_frequencies: int = 0,
        pooling: str = "attention",
        project_values: bool = True,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        project_values = is_on(project_values, "project_values")
        if pooling != "attention":
            _check_plain_pooling(pooling, num_frequencies)
            num_heads, project_values = 1, False
        _check_sizes(in_channels, num_regions, num_heads, projected=project_values)
        self.in_channels = in_channels
        head_channels = in_channels // num_heads if project_values else in_channels
        self.scale = 1.0 / math.sqrt(head_channels) if project_values else 1.0

        self.query: nn.Parameter | None = None
        self.value: nn.Parameter | None = None
        self.value_bias: nn.Parameter | None = None
        if pooling == "attention":
            self.query = nn.Parameter(torch.empty(num_regions, num_heads, in_channels))
        if project_values:
            size = (num_regions, num_heads, in_channels, head_channels)
            self.value = nn.Parameter(torch.empty(size))
            self.value_bias = nn.Parameter(torch.empty(num_regions, num_heads, head_channels))
        self.weight = nn.Parameter(torch.empty(num_regions, num_heads, head_channels))
        self.bias = nn.Parameter(torch.empty(num_regions))
        self.num_frequencies = num_frequencies
        self.place: nn.Parameter | None = None
        if num_frequencies > 0:
            num_terms = 3 + 6 * num_frequencies
            self.place = nn.Parameter(torch.empty(num_regions, num_heads, num_terms))
        self.dropout = nn.Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters uniformly with the bound ``1 / sqrt(C)``, as ``nn.Linear`` does.

        Weights of the place are drawn wider, so that heads of a region begin at other places.
        """
        bound = 1.0 / math.sqrt(self.in_channels)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        if self.place is not None:
            nn.init.normal_(self.place)

    @torch.no_grad()
    def start_at_prevalence(self, prevalence: Tensor) -> None:
        """Sets the biases so that an untrained head predicts about the prevalence of each region.

        Otherwise the first epochs go into learning how frequent each region is: with Adam a bias
        moves by at most the learning rate per step. AUROC does not depend on it.

        Args:
            prevalence: shape ``(R,)``, in [0, 1]; values outside [0.01, 0.99] are moved there, NaN
                counts as 0.5.

        Raises:
            ValueError: if the shape is another one.
        """
        if prevalence.shape != self.bias.shape:
            raise InputDataError(
                f"prevalence has shape {tuple(prevalence.shape)}, expected one value for each of "
                f"{len(self.bias)} regions."
            )
        self.bias.copy_(prevalence.nan_to_num(nan=0.5).clamp(0.01, 0.99).logit())

    def attention(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns where each region looks.

        Args:
            features: feature map of shape ``(B, C, *spatial)``.
            mask: optional boolean tensor of shape ``(B, *spatial)``, true where a position
                shows the body and false where it is padding. Every exam needs at least one
                true position; otherwise its weights are NaN.

        Returns:
            Weights of shape ``(B, R, H, *spatial)``. They are not negative, sum to one over
            the positions of each head, and are zero where ``mask`` is false. With pooling "sum"
            all others are 1.
        """
        query = self.query
        if query is None:
            return self._even_weights(features, mask)
        scores = torch.einsum("bcn,rhc->brhn", features.flatten(2), query) * self.scale
        place = self.place
        if place is not None:
            terms = _place_terms(features, mask, self.num_frequencies)
            scores = scores + torch.einsum("bfn,rhf->brhn", terms, place)
        if mask is not None:
            scores = scores.masked_fill(~mask.flatten(1)[:, None, None], float("-inf"))
        weights: Tensor = scores.softmax(dim=-1).unflatten(3, features.shape[2:])
        return weights

    def _even_weights(self, features: Tensor, mask: Tensor | None) -> Tensor:
        weights = torch.ones_like(features[:, :1]) if mask is None else mask[:, None].to(features)
        if self.pooling == "mean":
            weights = weights / weights.flatten(1).sum(dim=1)[:, None, None, None, None]
        even: Tensor = weights[:, None].expand(-1, len(self.bias), -1, -1, -1, -1)
        return even

    def contributions(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        r"""Returns how much each position adds to the logit of each region.

        The logit is linear in the pooled features, hence a sum over positions:
        ``logit_r = sum_n sum_h a_rhn (w_rh . V_rh x_n) + constant_r``. Attention alone tells where
        a head looks, also where it finds nothing.

        Args:
            features: as in :meth:`attention`.
            mask: as in :meth:`attention`.

        Returns:
            Shape ``(B, R, *spatial)``, in units of the logit, positive where the exam looks
            abnormal. Their sum and ``value_bias . weight + bias`` are the logit (without dropout;
            ``bias`` alone where values are not projected).
        """
        weights = self.attention(features, mask).flatten(3)
        direction: Tensor = self.weight
        if self.value is not None:
            direction = torch.einsum("rhcd,rhd->rhc", self.value, self.weight)
        worth = torch.einsum("rhc,bcn->brhn", direction, features.flatten(2))
        added: Tensor = (weights * worth).sum(dim=2).unflatten(2, features.shape[2:])
        return added

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Classifies every region.

        Args:
            features: as in :meth:`attention`.
            mask: as in :meth:`attention`.

        Returns:
            Logits of shape ``(B, R)``; positive means abnormal. They have the precision of the
            parameters also under autocast: in bf16 different exams would get the same logit.
        """
        weights = self.attention(features, mask).flatten(3)
        pooled = self.dropout(torch.einsum("brhn,bcn->brhc", weights, features.flatten(2)))
        value, value_bias = self.value, self.value_bias
        if value is not None and value_bias is not None:
            pooled = torch.einsum("brhc,rhcd->brhd", pooled, value) + value_bias
        # A product and a sum keep float32, where autocast would round the einsum to bf16.
        logits: Tensor = (pooled * self.weight).sum(dim=(2, 3)) + self.bias
        return logits


def _check_plain_pooling(pooling: str, num_frequencies: int) -> None:
    if pooling not in ("sum", "mean"):
        raise InputDataError(f"pooling is {pooling!r}; known are attention, sum, mean.")
    if num_frequencies > 0:
        raise InputDataError(
            f"pooling {pooling!r} has no attention that could use the place; set num_frequencies "
            f"to 0, not {num_frequencies}."
        )


def _check_sizes(in_channels: int, num_regions: int, num_heads: int, *, projected: bool) -> None:
    if min(in_channels, num_regions, num_heads) < 1:
        raise InputDataError(
            "in_channels, num_regions and num_heads must be positive, "
            f"got {in_channels}, {num_regions} and {num_heads}."
        )
    if projected and in_channels % num_heads:
        raise InputDataError(
            f"num_heads must divide in_channels, but {num_heads} does not divide {in_channels}."
        )


def _place_terms(features: Tensor, mask: Tensor | None, num_frequencies: int) -> Tensor:
    """Returns the terms of the place of every position, shape (B, 3 + 6 * num_frequencies, N).

    The last axis runs from -1 to 1 over the positions that are not padding.
    """
    batch, _, x, y, z = features.shape
    one = torch.ones(1, dtype=features.dtype, device=features.device)
    lengths = one.expand(batch) * z
    if mask is not None:
        lengths = mask.flatten(1, 2).any(dim=1).sum(dim=1).to(features.dtype)
    along_x = (
        torch.arange(x, device=features.device)[None, :, None, None] * (2.0 / max(x - 1, 1)) - one
    )
    along_y = (
        torch.arange(y, device=features.device)[None, None, :, None] * (2.0 / max(y - 1, 1)) - one
    )
    step = (2.0 / (lengths - 1.0).clamp(min=1.0))[:, None, None, None]
    along_z = torch.arange(z, device=features.device)[None, None, None, :] * step - one
    shape = [batch, x, y, z]
    place = torch.stack(
        [along_x.expand(shape), along_y.expand(shape), along_z.expand(shape)], dim=1
    ).flatten(2)
    terms = [place]
    for k in range(1, num_frequencies + 1):
        terms.append(torch.sin(0.5 * math.pi * k * place))
        terms.append(torch.cos(0.5 * math.pi * k * place))
    return torch.cat(terms, dim=1)

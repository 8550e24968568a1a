"""Which characters of a sentence the tokens of a window stand for."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer

from petct_ext.errors import InputDataError

__all__ = ["token_offsets"]


def token_offsets(
    tokenizer: Tokenizer, text: str, token_ids: Sequence[int]
) -> list[tuple[int, int]]:
    """Returns start and end offset of every token of a window; ``(0, 0)`` for special tokens.

    Args:
        tokenizer: that of the window.
        text: the sentence.
        token_ids: ids of the window, special tokens included, see
            :class:`petct_ext.transforms.text.TokenizeReportd`.

    Raises:
        InputDataError: if the window is not one of this sentence.
    """
    encoding = tokenizer.encode(text, add_special_tokens=False)
    num_special = len(tokenizer.encode("").ids)
    num_first = (num_special + 1) // 2
    inner = list(token_ids[num_first : len(token_ids) - (num_special - num_first)])
    for begin in range(len(encoding.ids) - len(inner) + 1):
        if encoding.ids[begin : begin + len(inner)] == inner:
            offsets = list(encoding.offsets[begin : begin + len(inner)])
            return [(0, 0)] * num_first + offsets + [(0, 0)] * (num_special - num_first)
    raise InputDataError(
        f"a window of {len(token_ids)} tokens is not part of its sentence of {len(encoding.ids)}; "
        "use the tokenizer that made it."
    )

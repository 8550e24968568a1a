"""Where a network looked: attention maps in patient space and pictures of them."""

from petct_ext.interpretation.attention_maps import attention_map
from petct_ext.interpretation.overlays import draw_overlay

__all__ = ["attention_map", "draw_overlay"]

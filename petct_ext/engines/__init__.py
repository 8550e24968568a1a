"""Parts of training and evaluation that MONAI's engines call."""

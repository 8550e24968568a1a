"""The report model: tokens, network, training, prediction, explanation, comparison."""

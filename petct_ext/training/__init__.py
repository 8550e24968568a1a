"""Parts of a training that all bundles share: checkpoints, resume, stops, loss, metric."""

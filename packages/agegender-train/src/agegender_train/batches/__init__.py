"""From aligned stores to the batches that a network learns from: faces, augmentation, batches."""

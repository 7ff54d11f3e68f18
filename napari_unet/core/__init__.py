"""Images to labels, labels and edits to training samples: arrays only, no network, no files, no window."""

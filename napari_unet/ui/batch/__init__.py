"""The widget for folders of images: the list, its options and the run."""

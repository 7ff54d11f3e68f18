#!/usr/bin/env bash
# Open napari with the plugin docked; without a display, drive the same window under Xvfb and keep what it shows.
set -eu
cd "$(dirname "$0")/.."

if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    exec .venv/bin/napari-unet "$@"
fi

output=out/demo
mkdir -p "$output"
echo "napari-unet: no display here, so the whole loop runs by itself in a window under Xvfb."
xvfb-run -a -s "-screen 0 1600x1000x24" .venv/bin/python -m napari_unet.ui.panel.demo "$output"
echo "napari-unet: labels, scores and screenshots are in $PWD/$output:"
ls -1 "$output"

#!/usr/bin/env bash
# Make .venv with everything that running and testing need. Safe to call again: a second call does nothing.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/installed
say() { printf '%s\n' "$*" >&2; }
stop() {
    say "napari-unet: $*"
    exit 1
}

# What the installed environment depends on: its packages, its place on the disk, its Python.
fingerprint() { { cat pyproject.toml constraints.txt scripts/setup.sh && pwd; } | cksum; }

suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        # A name on the path may still be a shim for a Python that is not there: it has to run.
        if suits "$name"; then
            command -v "$name"
            return
        fi
    done
    stop "needs Python 3.11, 3.12 or 3.13, and none was found as python3, python3.13, python3.12 or python3.11." \
        "Install one (on Debian: apt-get install python3 python3-venv) and call this again."
}

has_command() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null; }

# The system packages that are missing, as Debian names them: a library or command, then its package.
missing_packages() {
    local kind name package libraries
    libraries=$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null || true)
    while read -r kind name package; do
        case $kind in
        command) [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || has_command "$name" || echo "$package" ;;
        library) grep -q "[[:space:]]$name " <<<"$libraries" || echo "$package" ;;
        esac
    done <<'EOF'
command Xvfb xvfb
command xauth xauth
library libGL.so.1 libgl1
library libEGL.so.1 libegl1
library libOpenGL.so.0 libopengl0
library libdbus-1.so.3 libdbus-1-3
library libfontconfig.so.1 libfontconfig1
library libglib-2.0.so.0 libglib2.0-0
library libxkbcommon-x11.so.0 libxkbcommon-x11-0
library libxcb-cursor.so.0 libxcb-cursor0
library libxcb-icccm.so.4 libxcb-icccm4
library libxcb-image.so.0 libxcb-image0
library libxcb-keysyms.so.1 libxcb-keysyms1
library libxcb-randr.so.0 libxcb-randr0
library libxcb-render-util.so.0 libxcb-render-util0
library libxcb-shape.so.0 libxcb-shape0
library libxcb-xinerama.so.0 libxcb-xinerama0
EOF
    # Debian ships Python without the part that makes environments.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

ensure_system_packages() {
    local missing output
    missing=$(missing_packages | tr '\n' ' ')
    missing=${missing% }
    [ -n "$missing" ] || return 0
    if ! has_command apt-get; then
        say "napari-unet: these system libraries seem to be missing (Debian's names): $missing"
        say "napari-unet: going on without them; if no window opens, install them with your package manager."
        return 0
    fi
    if as_root true 2>/dev/null; then
        say "napari-unet: installing system packages: $missing"
        # A list that cannot be refreshed may still be good enough to install from.
        as_root apt-get update -qq >/dev/null 2>&1 || true
        # shellcheck disable=SC2086  # one word for each package
        output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
            -o DPkg::Lock::Timeout=300 $missing 2>&1) && return 0
        say "$output"
    fi
    stop "system packages are missing and could not be installed from here. Install them with" \
        "'apt-get update && apt-get install -y --no-install-recommends $missing' as root, and call this again."
}

make_environment() {
    if [ "$python" != .venv/bin/python ]; then
        say "napari-unet: making .venv with $("$python" --version)"
        "$python" -m venv --clear .venv ||
            stop "$python could not make a virtual environment. Install its venv and ensurepip modules" \
                "(on Debian: apt-get install python3-venv) and call this again."
    fi
    say "napari-unet: installing packages into .venv (a few minutes, once)"
    # Named by variable as well, so that what builds the package is pinned too.
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
        .venv/bin/python -m pip install --quiet -c constraints.txt -e ".[all,test]" ||
        stop "the packages could not be installed; pip's message is above."
}

python=.venv/bin/python
# An environment that was half made, or whose Python is gone, is made anew.
if ! suits "$python" || ! "$python" -c 'import pip' 2>/dev/null; then
    python=$(find_python)
fi
[ "$(uname -s)" != Linux ] || ensure_system_packages
[ "$(cat "$stamp" 2>/dev/null)" != "$(fingerprint)" ] || exit 0
make_environment
fingerprint >"$stamp"
say "napari-unet: ready"

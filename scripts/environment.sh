# Sourced by the other scripts: the tools of .venv come first, and ONNX Runtime is found where its wheel put it.
export PATH="$PWD/.venv/bin:$PATH"

if [ -z "${ORT_DYLIB_PATH:-}" ]; then
    for library in "$PWD"/.venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*; do
        [ -e "$library" ] && export ORT_DYLIB_PATH="$library"
    done
fi

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

# OpenMP reads it when a process starts; without it idle training threads spin.
export OMP_WAIT_POLICY=passive

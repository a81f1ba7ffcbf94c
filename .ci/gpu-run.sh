#!/usr/bin/env bash
# Tests and measures kernels on a machine with a graphics card, from the bundle beside this file (.ci/gpu-bundle.mjs). Needs
# nothing there but bash, tar and xz or python3. What it finds goes to the screen and, as files, to the folder $OUT.
set -u
here="$(cd "$(dirname "$0")" && pwd)"
results="$(mkdir -p "${OUT:-results}" && cd "${OUT:-results}" && pwd)"
work="$(mktemp -d)"

if command -v xz > /dev/null; then
  tar -C "$work" -xJf "$here/bundle.tar.xz"
else
  python3 -c "import lzma, sys, tarfile; tarfile.open(fileobj=lzma.open(sys.argv[1])).extractall(sys.argv[2])" \
    "$here/bundle.tar.xz" "$work"
fi || exit 1

# The loader finds the driver, which comes with the machine. Unpacked aside: nothing of the machine is changed.
if ! ldconfig -p | grep -q libvulkan; then
  for package in "$here"/debs/*.deb; do
    [ -e "$package" ] && dpkg -x "$package" "$work/loader"
  done
  export LD_LIBRARY_PATH="$work/loader/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi

cd "$work"
export PATH="$work/bin:$PATH"
# `software` tries the bundle on a card that is emulated.
export EFFECT_OTP_GPU="${EFFECT_OTP_GPU:-webgpu}"
software=""
[ "$EFFECT_OTP_GPU" = software ] && software="--software"
node="node --no-warnings --expose-gc --conditions=effect-otp/source"

echo "== adapter, and what it computes next to cpu"
check() { $node test/bench/gpuCheck.ts $software --json "$results/check.json"; }
check
code=$?
if [ $code -eq 3 ]; then
  # No adapter: perhaps the loader does not know where the driver is.
  for icd in /usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json /usr/share/vulkan/icd.d/nvidia_icd.json /etc/vulkan/icd.d/nvidia_icd.json; do
    if [ $code -eq 3 ] && [ -e "$icd" ]; then
      export VK_DRIVER_FILES="$icd"
      echo "again, with VK_DRIVER_FILES=$icd"
      check
      code=$?
    fi
  done
fi
[ $code -eq 3 ] && exit 3

echo "== tests"
node node_modules/vitest/vitest.mjs run test/gpu --typecheck.enabled=false \
  --reporter=default --reporter=json --outputFile.json="$results/tests.json"
tests=$?

echo "== figures"
$node test/bench/gpu.ts $software --json "$results/figures.json" "$@"
figures=$?

rm -rf "$work"
echo "check $code, tests $tests, figures $figures (0 is good); files in $results"
[ $code -eq 0 ] && [ $tests -eq 0 ] && [ $figures -eq 0 ]

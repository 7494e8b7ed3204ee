#!/usr/bin/env bash
# What can be answered on a GPU alone, in a quarter of an hour: joins the parts beside this file, checks them and runs the steps.
# Needs bash, tar, gzip and sha256sum, the NVIDIA driver, and for some steps a python3 that has torch; no network.
#
#   run.sh [--work DIR] [step options; run.sh --help]
#
# --work DIR   where the parts are unpacked and what is built is kept, for the next run too (default: work/ beside this file)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$here/work
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --work) [ $# -gt 1 ] || { echo 'run.sh: --work needs a folder' >&2; exit 2; }; work=$2; shift ;;
    --work=*) work=${1#--work=} ;;
    *) arguments+=("$1") ;;
  esac
  shift
done

say() { echo "run.sh: $*" >&2; }
parts=$here/parts.sha256
[ -f "$parts" ] || { say "$parts is missing: copy the whole bundle."; exit 1; }
if command -v sha256sum >/dev/null; then check=(sha256sum); else check=(shasum -a 256); fi
bundle=$("${check[@]}" "$parts" | cut -c1-12)
folder=$work/rvos-$bundle

if [ ! -d "$folder" ]; then
  mkdir -p "$work"
  unfinished=$work/unfinished-$$
  trap 'rm -rf "$unfinished"' EXIT
  # What earlier, killed runs left.
  rm -rf "$work"/unfinished-*
  mkdir "$unfinished"
  names=()
  while read -r _ name; do
    case $name in rvos.tar.gz.*) names+=("$name") ;; esac
  done <"$parts"
  missing=()
  for name in "${names[@]}"; do [ -f "$here/$name" ] || missing+=("$name"); done
  [ ${#missing[@]} -eq 0 ] || { say "parts are missing: ${missing[*]}"; exit 1; }
  if ! (cd "$here" && grep ' rvos\.tar\.gz\.' "$parts" | "${check[@]}" -c --quiet - >&2); then
    say 'a part is damaged: copy it again.'
    exit 1
  fi
  # tar may end before it has read the padding at the end: no failure of what feeds it.
  tar -xz -C "$unfinished" -f <(cd "$here" && exec cat "${names[@]}")
  mv "$unfinished" "$folder"
fi
exec "$folder/bin/node" "$folder/gpu-bundle/run-steps.mjs" --parts "$here" --work "$work" ${arguments[@]+"${arguments[@]}"}

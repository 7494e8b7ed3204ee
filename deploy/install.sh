#!/bin/sh
# Installs rvos and what servers and workers with Redis need from the tarballs that lie in the present folder, into it.
set -eu
command -v ffmpeg >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends ffmpeg; }
npm install --omit=dev --no-audit --no-fund ./*.tgz bullmq@^6.7.0 ioredis@^5.11.1
ln -sf "$PWD/node_modules/.bin/rvos" "${RVOS_BIN:-/usr/local/bin}/rvos"

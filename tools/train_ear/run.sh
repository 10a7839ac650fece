#!/bin/sh
# Makes the training's environment, then trains and writes the model file. Arguments go to train.py.
set -eu
cd "$(dirname "$0")/../.."
place=var/train-ear
if [ ! -x "$place/venv/bin/python" ]; then
  .venv/bin/uv venv --quiet "$place/venv"
  VIRTUAL_ENV="$place/venv" .venv/bin/uv pip install --quiet -r tools/train_ear/requirements.txt
fi
PYTHONPATH="services/voice-agent/src:tools" exec "$place/venv/bin/python" -m train_ear.train --work "$place" "$@"

#!/bin/sh
exec "$(dirname "$0")/pods.py" status "$@"

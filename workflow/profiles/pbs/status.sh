#!/bin/sh
exec "$(dirname "$0")/../schedulers/scheduler.py" pbs status "$@"

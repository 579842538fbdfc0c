#!/bin/sh
# Turns what git describe says into a version that dpkg and rpm accept and sort.
set -eu
v=${1#v}
case $v in
[0-9]*) echo "$v" | tr '-' '.' ;;
*) echo "0.0.0~$(echo "$v" | tr '-' '.')" ;;
esac

#!/bin/bash
# In a Debian that has nothing but what is essential, the packages bring all
# that they need, leave the service to its administrator, serve, keep a changed
# config, and when they are purged nothing of theirs is left.  Then it becomes
# what Containerfile describes, and that serves.
#
# `./dev package` has made them.  The Debian comes from the mirror that this
# machine uses, and is thrown away afterwards.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

packages=$(readlink -f "$BUILD/packages")
[ -n "$(compgen -G "$packages/linedancer_*.deb")" ] ||
    { echo "there are no packages in $packages: ./dev package"; exit 1; }
# Not that of updates or backports, whose suites have a dash.
read -r mirror suite < <(apt-get indextargets \
    --format '$(SITE) $(CODENAME)' 'Created-By: Packages' 'Label: Debian' |
    grep -v -e '-[a-z]*$')

PACKAGES=$packages exec mmdebstrap --quiet --dpkgopt=force-unsafe-io --variant=minbase --format=null \
    --include=iproute2,netcat-openbsd,systemd \
    --customize-hook="$PWD/support/bare_debian.sh" \
    "$suite" - "$mirror"

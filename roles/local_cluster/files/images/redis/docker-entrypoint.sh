#!/bin/sh
# Entrypoint with the contract of the upstream image `redis`.
set -eu

# Options or a configuration file without a command start redis-server.
case "${1:-}" in
    -* | *.conf) set -- redis-server "$@" ;;
esac

# Root only prepares the data folder and switches to `redis`. A pod that runs as another user keeps that user.
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis '{}' +
    exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi

# Dump files contain data: only the owner may read them.
umask 0077

if [ "$1" = redis-server ]; then
    shift
    case "${1:-}" in
        # With a configuration file, that file sets protected mode.
        '' | --*) set -- --protected-mode no "$@" ;;
    esac
    set -- redis-server "$@"
fi
exec "$@"

#!/bin/sh
# Entrypoint with the contract of the upstream image `redis`.
set -eu

# Options or a configuration file alone mean redis-server.
case "${1:-}" in
    -* | *.conf) set -- redis-server "$@" ;;
esac

# Root only prepares the data folder and becomes `redis`; a pod that already runs as another user starts as that one.
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis '{}' +
    exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi

# Dump files hold data: nobody but the owner reads them.
umask 0077

if [ "$1" = redis-server ]; then
    shift
    case "${1:-}" in
        # With a configuration file, protected mode is that file's business.
        '' | --*) set -- --protected-mode no "$@" ;;
    esac
    set -- redis-server "$@"
fi
exec "$@"

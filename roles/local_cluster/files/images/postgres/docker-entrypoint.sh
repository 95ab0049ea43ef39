#!/bin/bash
# Entrypoint with the contract of the upstream image `postgres`. Environment, read only when the database is created:
#   POSTGRES_PASSWORD          the superuser's password (required unless POSTGRES_HOST_AUTH_METHOD=trust)
#   POSTGRES_USER              the superuser, default "postgres"
#   POSTGRES_DB                the first database, default the user's name
#   POSTGRES_INITDB_ARGS       more options for initdb;  POSTGRES_INITDB_WALDIR: folder of the write-ahead log
#   POSTGRES_HOST_AUTH_METHOD  how clients over TCP authenticate, default scram-sha-256
# Each POSTGRES_{PASSWORD,USER,DB,INITDB_ARGS} may be given as <name>_FILE, the path of a file with the value.
set -Eeuo pipefail

say() { echo "entrypoint: $*"; }
die() { echo "entrypoint: $*" >&2; exit 1; }

# from_file NAME DEFAULT: set NAME from NAME, NAME_FILE or DEFAULT.
from_file() {
    local name=$1 file_name="$1_FILE"
    [[ -z ${!name:-} || -z ${!file_name:-} ]] || die "$name and $file_name are both set; give one of them"
    local value=${!name:-$2}
    if [[ -n ${!file_name:-} ]]; then
        [[ -r ${!file_name} ]] || die "$file_name names ${!file_name}, which cannot be read by user $(id -u)"
        value=$(<"${!file_name}")
    fi
    export "$name=$value"
    unset "$file_name"
}

# initdb needs a passwd entry for its user. A pod may run as any user id; nss_wrapper provides the entry.
name_user() {
    getent passwd "$(id -u)" >/dev/null && return
    local library
    library=$(find /usr/lib -name libnss_wrapper.so -print -quit)
    [[ -n $library ]] || die "user $(id -u) has no passwd entry and libnss_wrapper.so is not installed"
    NSS_WRAPPER_PASSWD=$(mktemp) NSS_WRAPPER_GROUP=$(mktemp)
    echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$PGDATA:/bin/false" >"$NSS_WRAPPER_PASSWD"
    echo "postgres:x:$(id -g):" >"$NSS_WRAPPER_GROUP"
    export LD_PRELOAD=$library NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
}

make_folders() {
    mkdir -p "$PGDATA" /var/run/postgresql
    # Not allowed if the volume belongs to root and the group has access (fsGroup).
    chmod 0700 "$PGDATA" 2>/dev/null || true
    chmod 03775 /var/run/postgresql 2>/dev/null || true
    if [[ $(id -u) = 0 ]]; then
        find "$PGDATA" /var/run/postgresql ! -user postgres -exec chown postgres:postgres '{}' +
    fi
}

# A container that is killed while it creates the database leaves an incomplete one. A marker file beside PGDATA exists during the creation,
# so that the next start creates the database again. If that folder is not writable (PGDATA is the volume's root), there is no marker file.
marker_of() { echo "$(dirname "$PGDATA")/.$(basename "$PGDATA").creating"; }

create_database() {
    from_file POSTGRES_PASSWORD ""
    from_file POSTGRES_USER postgres
    from_file POSTGRES_DB "$POSTGRES_USER"
    from_file POSTGRES_INITDB_ARGS ""
    local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    [[ -n $POSTGRES_PASSWORD || $method = trust ]] || die "POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE) is needed to create the database"

    local marker; marker=$(marker_of)
    touch "$marker" 2>/dev/null || marker=""
    local options=()
    [[ -z ${POSTGRES_INITDB_WALDIR:-} ]] || options+=(--waldir "$POSTGRES_INITDB_WALDIR")
    # Through a pipe, so that it appears neither in initdb's arguments nor in a file.
    [[ -z $POSTGRES_PASSWORD ]] || options+=(--pwfile=/dev/fd/3)
    # POSTGRES_INITDB_ARGS is a command line: eval splits it as a shell would, quotes included.
    eval "options+=($POSTGRES_INITDB_ARGS)"
    initdb --username="$POSTGRES_USER" --auth-local=trust --auth-host="$method" "${options[@]}" \
        3< <(printf '%s\n' "$POSTGRES_PASSWORD")
    printf '\n# Clients from other pods.\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
    # The upstream image's default; Debian's is localhost. Options of the command line override it.
    printf "\nlisten_addresses = '*'\n" >>"$PGDATA/postgresql.conf"

    # Only on the socket: no client can connect from outside before the creation is complete.
    PGUSER=$POSTGRES_USER pg_ctl start --wait -o "-c listen_addresses='' -c unix_socket_directories=/var/run/postgresql" >/dev/null
    fill_database
    pg_ctl stop --wait --mode=fast >/dev/null
    [[ -z $marker ]] || rm -f "$marker"
    say "database $POSTGRES_DB of user $POSTGRES_USER is created"
}

# ask DATABASE OPTIONS...: psql on the socket, stops at the first error.
ask() {
    local database=$1; shift
    psql --host=/var/run/postgresql --username="$POSTGRES_USER" --no-password --no-psqlrc --set=ON_ERROR_STOP=1 --dbname="$database" "$@"
}

fill_database() {
    local exists
    exists=$(ask postgres --quiet --tuples-only --set=name="$POSTGRES_DB" <<<"SELECT 1 FROM pg_database WHERE datname = :'name'")
    [[ -n $exists ]] || ask postgres --quiet --set=name="$POSTGRES_DB" <<<'CREATE DATABASE :"name"'
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) say "runs $file"; if [[ -x $file ]]; then "$file"; else . "$file"; fi ;;
            *.sql) say "runs $file"; ask "$POSTGRES_DB" --file="$file" ;;
            *.sql.gz) say "runs $file"; gunzip --stdout "$file" | ask "$POSTGRES_DB" ;;
            *.sql.xz) say "runs $file"; xzcat "$file" | ask "$POSTGRES_DB" ;;
        esac
    done
}

main() {
    # Options without a command start the server.
    [[ ${1:-} != -* ]] || set -- postgres "$@"
    if [[ $1 != postgres ]] || [[ " $* " =~ \ (--help|--version|--describe-config|-\?|-V)\  ]]; then
        exec "$@"
    fi
    make_folders
    if [[ $(id -u) = 0 ]]; then
        exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
    fi
    name_user
    if [[ -e $(marker_of) ]]; then
        say "the creation of the database was interrupted; creates it again"
        find "$PGDATA" -mindepth 1 -delete
    fi
    if [[ -s $PGDATA/PG_VERSION ]]; then
        say "database found in $PGDATA"
    else
        create_database
    fi
    # The server does not need the password, and others can read its environment in /proc.
    unset POSTGRES_PASSWORD POSTGRES_PASSWORD_FILE
    exec "$@"
}

main "$@"

# Runs a service's script in its own image, as the container's first process, with nothing but a POSIX shell.
# Needs `tee` to keep the standard output apart from the log, and `mkdir`, `rmdir` and `chmod` for outputs that
# only their owner may read; goes on without them.
#
# alive: held open for as long as this lives; says that the script began, that the pod was told to end while it
#        ran, and its exit status.
# stop:  names of signals to be sent to everything in this container.

exec 8>&2 2>/dev/null
exec 9>/oscar/run/alive

umask 022
. /oscar/run/environment
trap 'echo told >&9; kill -TERM -1' TERM
# A folder of our own, else nobody here may let others into it.
rmdir "$TMP_OUTPUT_DIR" && mkdir "$TMP_OUTPUT_DIR"
(
    trap '' TERM
    # Open for writing too, so that it never ends: opened anew for each line, it would end for a writer that
    # lets go between our opening and our reading, and nobody would listen any more.
    exec 7<>/oscar/run/stop 8>&- 9>&-
    while read -r _oscar_signal <&7; do kill -"$_oscar_signal" -1; done
) &

_oscar_tee=
if command -v tee >/dev/null; then
    (trap '' TERM; exec tee /oscar/run/stdout </oscar/run/pipe 8>&- 9>&-) &
    _oscar_tee=$!
    /bin/sh /oscar/config/script.sh </dev/null >/oscar/run/pipe 2>&8 8>&- 9>&- &
else
    /bin/sh /oscar/config/script.sh </dev/null 2>&8 8>&- 9>&- &
fi
_oscar_script=$!
echo began >&9

while :; do
    wait $_oscar_script
    _oscar_code=$?
    kill -0 $_oscar_script || break
done
chmod -R u+rwX,go+rX "$TMP_OUTPUT_DIR"
echo "$_oscar_code" >&9
[ -n "$_oscar_tee" ] && wait "$_oscar_tee"
exit "$_oscar_code"

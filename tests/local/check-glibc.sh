# Fails if a binary needs a glibc newer than the one of provided.al2023.
newest=2.34
if ! command -v objdump >/dev/null; then
    echo "objdump is missing (Debian: apt install binutils): not checked that the functions run on glibc $newest"
    exit 0
fi
for binary in "$@"; do
    needed=$(objdump -T "$binary" | sed -n 's/.*(\{0,1\}GLIBC_\([0-9.]*\).*/\1/p' | sort -uV | tail -n 1)
    if [ "$(printf '%s\n' "$newest" "$needed" | sort -V | tail -n 1)" != "$newest" ]; then
        echo "$binary needs glibc $needed, provided.al2023 has $newest" >&2
        exit 1
    fi
done
echo "$# functions are in target/lambda, none needs a glibc newer than $newest"

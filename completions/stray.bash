# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of stray for bash. Verbs and options are what `stray help` says, so this need not change when they do.

_stray() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} stray=${COMP_WORDS[0]} verb=${COMP_WORDS[1]} words i
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "$verb" = help ]; }; then
        words=$("$stray" help 2> /dev/null | sed -n 's/^  stray \([a-z]*\).*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
        return
    fi
    for ((i = 2; i < COMP_CWORD; i++)); do
        if [ "$verb" = run ] && [ "${COMP_WORDS[i]}" = -- ]; then
            # behind it, the words of another command
            if [ $((COMP_CWORD - i)) -eq 1 ]; then mapfile -t COMPREPLY < <(compgen -c -- "$word"); else compopt -o default 2> /dev/null; fi
            return
        fi
    done
    case $previous in
        --format) words=$("$stray" "$verb" --help 2> /dev/null | sed -n 's/.*--format \([a-z|]*\).*/\1/p' | head -n 1 | tr '|' ' ') ;;
        --to) words=$("$stray" "$verb" --help 2> /dev/null | sed -n 's/^  --to \([a-z]*\) .*/\1/p') ;;
        --python-memory) words="sampled exact off" ;;
        --pair) words="openssl sqlite curl hiredis libxml2 zlib mysql" ;;
        --sql) words="normalised text off" ;;
        --weight) words="opened open bytes" ;;
        *)
            case $word in
                -*) words=$("$stray" "$verb" --help 2> /dev/null | grep -oE -- '(^| |\()--?[a-z][a-z-]*' | tr -d ' (' | sort -u) ;;
                *) compopt -o default 2> /dev/null; return ;;
            esac ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _stray stray
